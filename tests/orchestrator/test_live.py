from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np
import pytest

from orchestrator import live
from orchestrator.camera import Camera, is_live
from trackers.benchmarks.videos import Video
from trackers.evaluation.lanes import TrackingError
from trackers.tracker import IdentityTracker, SingleTracker

PERIOD = 0.01  # seconds between the frames of the camera


@pytest.fixture
def stream():
    """Addresses of a camera on this machine: streams of so many frames, 48 x 32, each as bright as its number."""

    class Frames(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            for t in range(int(self.path[1:])):
                image = cv2.imencode(".jpg", np.full((32, 48, 3), t, np.uint8))[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(image)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + image + b"\r\n")
                except OSError:
                    return
                time.sleep(PERIOD)

        def log_message(self, *words):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Frames)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield lambda frames: f"http://127.0.0.1:{server.server_port}/{frames}"
    server.shutdown()
    server.server_close()


class Late:
    """Takes six periods of the camera for a frame."""

    def initialize(self, image, region):
        self.region = region

    def update(self, image):
        time.sleep(6 * PERIOD)
        return self.region


def test_what_has_no_end_is_told_from_files(tmp_path, monkeypatch):
    """Numbers, addresses, devices and pipes are live; files are not, whatever their names, nor what is nowhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").mkdir()
    os.mkfifo(tmp_path / "pipe.mp4")
    assert all(map(is_live, ("0", "rtsp://there/x", "HTTP://there", "pipe.mp4", "/dev/null")))
    assert not any(map(is_live, ("7", "walk.mp4", "-1", str(tmp_path))))


def test_the_newest_frame_is_tracked_in(stream, tmp_path):
    """A tracker slower than the camera is given the newest frame, and the video runs as long as what was seen."""
    out = tmp_path / "late.mp4"
    with Camera(stream(60)) as source:
        seen = live.follow(source, {"Late": (SingleTracker(Late, False, "box"), 0)}, (5, 6, 7, 8), out=out, most=5)
        rate = source.fps
    assert len(seen.numbers) == 5
    assert np.diff(seen.numbers[1:]).min() >= 3
    assert seen.times[0] == 0
    assert min(seen.seconds["Late"][1:]) >= 6 * PERIOD
    np.testing.assert_array_equal(seen.boxes["Late"], [[5, 6, 7, 8]] * 5)
    assert len(Video(out)) == round(seen.times[-1] * rate) + 1


def test_the_end_of_a_stream_ends_it(stream):
    """All frames of a stream that ends come before the end, to a tracker that is fast enough; time goes on."""
    with Camera(stream(8)) as source:
        seen = live.follow(source, {"Still": (IdentityTracker(), 0)}, (1, 2, 3, 4))
        assert source.ended
    assert seen.numbers == sorted(set(seen.numbers))
    assert seen.numbers[-1] == 7
    assert seen.times == sorted(seen.times)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        (None, "expected the first box: --box x,y,width,height, or a display to draw it on"),
        ((50, 1, 2, 3), "frame [0-9]+: expected a box that touches the 48 x 32 image, got x=50"),
    ],
)
def test_a_start_that_cannot_be_is_said(stream, tmp_path, box, message):
    """Without a box, and with one outside of the image, nothing is tracked, and no video is left."""
    with Camera(stream(9)) as source, pytest.raises(ValueError, match=message):
        live.follow(source, {"Still": (IdentityTracker(), 0)}, box, out=tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_a_tracker_that_fails_is_named(stream, tmp_path):
    """Its name, the frame and the cause are said, and no video is left."""

    class Broken(Late):
        def update(self, image):
            raise RuntimeError("no more")

    trackers = {"Broken": (SingleTracker(Broken, False, "box"), 0)}
    with Camera(stream(30)) as source, pytest.raises(TrackingError, match=r"^Broken, frame \d+: .*no more"):
        live.follow(source, trackers, (1, 2, 3, 4), out=tmp_path / "a.mp4")
    assert not list(tmp_path.iterdir())


def test_a_camera_that_is_not_there_is_said(tmp_path):
    """A source that cannot be opened is named, with what was expected."""
    with pytest.raises(OSError, match="^63: expected a camera's number, a stream's address or a device"):
        Camera("63")


def start(project, *words, **environment):
    """`trackmeet track` with these words, in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "orchestrator", "track", *words, "--tracker", "Identity", "--json", "a.json"],
        cwd=project.root,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
def test_an_interrupt_leaves_what_was_seen(project, stream):
    """Ctrl-C ends a camera's run: the video so far is whole, and the boxes of its frames are written."""
    running = start(project, stream(100_000), "--box", "5,6,7,8", "--out", "a.mp4", "--no-window")
    until = time.monotonic() + 60
    while not list(project.root.glob(".a.mp4-*/a.mp4")) and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(1.0)
    running.send_signal(signal.SIGINT)
    out, error = running.communicate(timeout=60)
    assert running.returncode == 0, error
    assert out.splitlines()[-2:] == ["a.json", "a.mp4"]
    said = json.loads((project.root / "a.json").read_text())
    assert said["trackers"]["Identity"]["boxes"] == [[5, 6, 7, 8]] * len(said["times"])
    assert len(Video(project.root / "a.mp4")) == round(said["times"][-1] * said["fps"]) + 1


@pytest.fixture
def display(tmp_path):
    """A display without a screen, and what acts upon its mouse and keys: xdotool with these words."""
    if not shutil.which("Xvfb") or not shutil.which("xdotool"):
        pytest.skip("needs Xvfb and xdotool: apt-get install xvfb xdotool")
    reading, writing = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1000x800x24"],
        pass_fds=(writing,),
        stderr=subprocess.DEVNULL,
    )
    os.close(writing)
    with os.fdopen(reading) as file:
        name = f":{file.readline().strip()}"
    yield name, lambda *words: subprocess.run(["xdotool", *words], env={**os.environ, "DISPLAY": name}, timeout=60)
    server.terminate()
    server.wait()


@pytest.mark.slow
@pytest.mark.parametrize("live_source", [True, False])
def test_a_box_is_drawn_with_the_mouse(project, stream, display, live_source):
    """The box that the mouse is drawn over is tracked, in pixels of the frame; q ends a camera's run."""
    name, act = display
    for t in range(3):
        cv2.imwrite(str(project.root / f"{t}.png"), np.full((32, 48, 3), 9, np.uint8))
    source = stream(100_000) if live_source else "."
    running = start(project, source, DISPLAY=name)
    act("search", "--sync", "--onlyvisible", "--name", "trackmeet")
    time.sleep(1.0)
    # 480 / 32: the frame is shown 15 times as large.
    act("mousemove", "75", "150", "mousedown", "1", "mousemove", "100", "200", "mousemove", "225", "270")
    time.sleep(0.3)
    act("mouseup", "1")
    if live_source:
        time.sleep(1.0)
        act("key", "q")
    _, error = running.communicate(timeout=60)
    assert running.returncode == 0, error
    boxes = json.loads((project.root / "a.json").read_text())["trackers"]["Identity"]["boxes"]
    assert boxes == [[5, 10, 10, 8]] * len(boxes)
    assert len(boxes) == 3 or live_source


@pytest.mark.slow
def test_a_display_that_is_gone_is_said(project, stream):
    """A window that cannot be opened ends in one line with the display's name, not in a crash."""
    running = start(project, stream(100), DISPLAY=":987", WAYLAND_DISPLAY="")
    _, error = running.communicate(timeout=60)
    assert running.returncode == 2
    assert error.splitlines()[-1].startswith("error: display :987: expected a window of OpenCV's, got none: ")
