"""The sequence explorer of the report: every sequence as it was tracked, to be played in the page.

    explorer/<set>.js               a study's benchmark under one protocol: names, scores and failures of its sequences
    explorer/<set>-<sequence>.js    regions, overlaps and events in every frame of one sequence, by tracker
    explorer/video-<number>.js      which frames of a video are shown, and where their pictures are
    frames/<hash>.webp              these pictures, many in one, and those of what trackers say of single frames

Numbers count from 0. The page loads each file when it is asked for; such a file hands its data to the page's
function `explorerData`. Frames of one video that several studies show are there once.
"""

from orchestrator.report.explorer.links import link
from orchestrator.report.explorer.videos import Videos, opener
from orchestrator.report.explorer.writing import Explorer, write

__all__ = ["Explorer", "Videos", "link", "opener", "write"]
