import dataclasses
import io

import numpy as np
import pytest
import torch

from trackers.benchmarks.collection import Collection
from trackers.families.pixelwise import learning, rois, steps
from trackers.families.pixelwise.clips import Drawing, Prepared, unpacked
from trackers.families.pixelwise.learning import grown, moved
from trackers.families.pixelwise.videos import Maps, half
from trackers.training import Inputs, Silent, Training

ONE = Training(batch=2, updates_per_epoch=2, epochs=1, report_every=2, learning_rate=1e-3)
NONE = dataclasses.replace(ONE, epochs=0)


class Kept(Silent):
    """Keeps the checkpoint of one update as a file would, and goes on from it where it is told to."""

    def __init__(self, at=None, saved=None):
        self.at, self.saved, self.curves = at, saved, {}

    def checkpoint(self, step, state):
        if step == self.at:
            file = io.BytesIO()
            torch.save(state(), file)
            self.saved = file.getvalue()

    def resume(self):
        return torch.load(io.BytesIO(self.saved), weights_only=True) if self.saved and self.at is None else None

    def metric(self, name, value, step):
        self.curves.setdefault(name, []).append(value)


@pytest.fixture(scope="module")
def two_rounds(small, trained):
    """Settings, and all weights, of two rounds with clips prepared."""
    config = small(rounds=2, clips=Drawing(length=6, prepared=2), burn_in=5)
    return config, trained(config)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_all_steps_of_two_rounds_run(two_rounds):
    """Each step publishes what the next ones need, of finite numbers; no two models are the same."""
    config, weights = two_rounds
    assert list(weights) == [step.name for step in steps(config)]
    assert all(tensor.isfinite().all() for some in weights.values() for tensor in some.values())
    for kind in (("half", "local"), ("global",)):
        models = [some for name, some in weights.items() if name.startswith(kind)]
        assert len(models) == (6 if "local" in kind else 3)
        assert not any(same(one, other) for i, one in enumerate(models) for other in models[:i])


@pytest.mark.slow
@pytest.mark.parametrize("settings", [{}, {"network": "FCN", "stages": "1-stage"}])
def test_clips_need_not_be_prepared(settings, small, trained):
    """Where each minibatch draws its own, all steps run likewise."""
    weights = trained(small(**settings))
    assert all(tensor.isfinite().all() for some in weights.values() for tensor in some.values())


@pytest.mark.parametrize("step", [pytest.param("half-1-1", marks=pytest.mark.slow), "local-2", "global-0", "global-2"])
def test_an_interrupted_training_ends_with_the_same_weights(step, two_rounds, data, take):
    """From its last checkpoint a step goes on to the same weights, bit for bit."""
    config, weights = two_rounds
    kept = Kept(at=1)
    whole = take(config, step, data, weights, reporter=kept)
    assert same(whole, weights[step])
    assert same(whole, take(config, step, data, weights, reporter=Kept(saved=kept.saved)))
    assert not same(whole, take(config, step, data, weights, seed=2))


@pytest.mark.parametrize(
    ("rounds", "step", "before"),
    [
        (2, "global-1", "global-0"),
        (2, "global-2", "global-1"),
        (2, "half-1-1", "half-1"),
        (2, "half-2-1", "half-2"),
        (1, "local-1", "local-0"),
        (2, "local-2", "local-0"),  # whatever the rounds: updates between them are of halves
    ],
)
def test_an_update_begins_from_the_round_before(rounds, step, before, two_rounds, data, take):
    """Without updates the model is that of the round before, and the final local one what all videos have taught."""
    config, weights = two_rounds
    still = dataclasses.replace(config, rounds=rounds, updating=NONE, attention_updating=NONE)
    assert same(take(still, step, data, weights), weights[before])


@pytest.mark.parametrize("step", ["half-1", "half-2", "local-0"])
def test_other_local_models_begin_anew(step, two_rounds, data, take):
    """Without updates they are as they were drawn: the same for both halves, as for all videos."""
    config, weights = two_rounds
    still = dataclasses.replace(config, training=NONE, halves=NONE)
    torch.manual_seed(1)
    drawn = learning.local_model(config).state_dict()
    assert same(take(still, step, data, weights), drawn)


def test_the_fcn_begins_from_the_backbone(small, data, take, two_rounds):
    """Without updates its last block is VGG-16's."""
    weights = take(small(network="FCN", training=NONE), "fcn", data, two_rounds[1])
    for number in (1, 2, 3):
        assert torch.equal(weights[f"block5.{number - 1}.weight"], two_rounds[1]["backbone"][f"conv5_{number}.weight"])


def test_predictions_are_of_the_other_half(two_rounds, data):
    """Each half's model tracks the videos that it has not seen, all of them, and no others."""
    config, weights = two_rounds
    names = [sequence.name for sequence in data["videos"]]
    for round in (1, 2):
        for number in (1, 2):
            seen = {Maps(weights["maps"]).names[i] for i in weights[f"crossed-{round}-{number}"]["videos"]}
            assert seen == set(half(names, 3 - number, 1))
            assert not seen & set(half(names, number, 1))


def test_a_halfs_model_learns_from_its_half_alone(two_rounds, data, take):
    """Other pixels in a video of the other half leave it as it is; in one of its own they do not."""
    config, weights = two_rounds
    config = dataclasses.replace(config, clips=Drawing(length=6), halves=ONE)  # looked at while it learns
    found = {}
    for number in (1, 2):
        own = half([sequence.name for sequence in data["videos"]], number, 1)
        videos = tuple(
            dataclasses.replace(sequence, frames=255 - sequence.frames) if sequence.name in own else sequence
            for sequence in data["videos"]
        )
        changed = {**data, "videos": Collection("changed", videos)}
        found[number] = take(config, "half-1", changed, weights)
    plain = take(config, "half-1", data, weights)
    assert same(found[2], plain)
    assert not same(found[1], plain)


def test_a_fold_learns_from_its_own_videos_alone(two_rounds, data, take):
    """Of clips and maps that all folds share, those of videos that are left out change nothing."""
    config, weights = two_rounds
    kept = Collection("fold", tuple(data["videos"])[1:])
    left_out = {**data, "videos": kept}
    spoilt = {name: dict(weights[name]) for name in ("maps", "backbone", "clips")}
    spoilt["clips"]["features"] = weights["clips"]["features"].clone()
    spoilt["clips"]["features"][:, weights["clips"]["videos"] == 0] = float("nan")
    spoilt["maps"]["maps"] = weights["maps"]["maps"].clone()
    spoilt["maps"]["maps"][: len(data["videos"].sequences[0])] = 255
    for step in ("half-1", "half-2", "global-0"):
        assert same(take(config, step, left_out, spoilt), take(config, step, left_out, weights))


def test_what_was_predicted_is_what_a_tracker_says(two_rounds, data):
    """A crossed clip begins with the groundtruth's map; its others are those of Algorithm 1's masks."""
    config, weights = two_rounds
    crossed, maps = weights["crossed-1-1"], Maps(weights["maps"])
    shown = unpacked(crossed["maps"]).numpy()
    one = learning.two_stage(config, weights["backbone"], weights["half-1"], weights["global-0"], "cpu")
    sequences = {maps.names.index(sequence.name): sequence for sequence in data["videos"]}
    assert crossed["frames"].shape == (len(crossed["videos"]), 7)
    for clip, (video, frames) in enumerate(zip(crossed["videos"].tolist(), crossed["frames"].tolist(), strict=True)):
        sequence = sequences[video]
        assert np.array_equal(shown[clip, 0], maps.of(video, np.array(frames[:1]))[0])
        one.initialize([0], [sequence.frames[frames[0]]], [sequence.regions[frames[0]]])
        for i, t in enumerate(frames[1:], 1):
            [mask] = one.update([0], [sequence.frames[t]])
            assert np.mean(shown[clip, i] != rois.squeezed(mask, config.map_size)) < 0.02


def test_crossed_clips_begin_with_masks_whatever_the_boxes(two_rounds, data, take):
    """Where annotators' boxes are missing or elsewhere, clips are the same: they start and are judged by masks."""
    config, weights = two_rounds
    videos = []
    for sequence in data["videos"]:
        boxes = sequence.groundtruth + 5
        boxes[: len(boxes) // 2] = np.nan
        videos.append(dataclasses.replace(sequence, groundtruth=boxes))
    changed = {**data, "videos": Collection("changed", tuple(videos))}
    assert same(take(config, "crossed-1-1", changed, weights), weights["crossed-1-1"])


def test_videos_are_crossed_every_few_frames(two_rounds, data, take):
    """Clips of 7 frames begin at 0, 4, ... as long as there are so many left, and at 0 in any case; IoU is told."""
    config, weights = two_rounds
    kept = Kept()
    crossed = take(config, "crossed-1-1", data, weights, reporter=kept)
    maps = Maps(weights["maps"])
    for video in set(crossed["videos"].tolist()):
        starts = [
            frames[0] for v, frames in zip(crossed["videos"], crossed["frames"].tolist(), strict=True) if v == video
        ]
        assert starts == list(range(0, maps.length(video) - 6, config.every))
    assert 0 <= kept.curves["iou"][0] <= 1


def test_the_last_local_model_learns_from_the_global_models_rois(two_rounds, data):
    """Step 5: the first ROI of a clip is around its mask, the next where the updated global model says, with beta."""
    config, weights = two_rounds
    inputs = Inputs({"videos": data["videos"]}, 1, weights={k: weights[k] for k in _needs(config, "local-2")})
    names = tuple(sequence.name for sequence in data["videos"])
    takes = learning._takes(2, inputs, config, names)
    maps, shown = Maps(weights["maps"]), {}
    for number in (1, 2):
        crossed = weights[f"crossed-2-{number}"]
        for video, frames, own in zip(
            crossed["videos"].tolist(), crossed["frames"].tolist(), unpacked(crossed["maps"]).numpy(), strict=True
        ):
            shown[video, frames[0]] = own
    assert sorted((take.video, take.frames[0]) for take in takes) == sorted(shown)
    for take in takes:
        video = take.video
        box = maps.boxes(video)[take.frames[0]]
        centre, longer = rois.places(box[None])
        assert take.windows[0].tolist() == config.roi.window(centre[0], longer[0]).tolist()
        locator = learning._attention(config, weights["global-2"], "cpu")
        mask = data["videos"].sequences[video].regions[take.frames[0]]
        locator.start([0], [mask])
        for t in range(1, 7):
            assert take.windows[t].tolist() == locator.windows([0])[0].tolist()
            locator.look([0], shown[video, take.frames[0]][t][None])


@pytest.mark.parametrize("prepared", [2, None])
def test_tracked_clips_are_kept(prepared, two_rounds, data):
    """They are looked at once, prepared or not, and only those of the videos that are asked for; progress is told."""
    config, weights = two_rounds
    config, told = dataclasses.replace(config, clips=Drawing(length=6, prepared=prepared)), []

    class Telling(Silent):
        def progress(self, done, total):
            told.append((done, total))

    inputs = Inputs({"videos": data["videos"]}, 1, weights={k: weights[k] for k in _needs(config, "local-2")})
    source = learning._tracked(2, inputs, config, ("film1", "film3"), Telling())
    assert isinstance(source, Prepared)
    assert set(source.kept.videos.tolist()) == {1, 3}
    assert source.kept.features.dtype == torch.float16
    assert told == [(n, len(source.kept.videos)) for n in range(1, len(source.kept.videos) + 1)]


def test_rois_of_tracked_clips_do_not_depend_on_what_is_gone_through_at_once(two_rounds, data, monkeypatch):
    """A few clips at a time are pointed to the same ROIs as all together."""
    config, weights = two_rounds
    inputs = Inputs({"videos": data["videos"]}, 1, weights={k: weights[k] for k in _needs(config, "local-2")})
    names, found = tuple(sequence.name for sequence in data["videos"]), []
    for lanes in (100, 3):
        monkeypatch.setattr(learning, "LANES", lanes)
        found.append(learning._takes(2, inputs, config, names))
    assert len(found[0]) > 3
    for one, other in zip(*found, strict=True):
        assert one.video == other.video and np.array_equal(one.frames, other.frames)
        assert np.array_equal(one.windows, other.windows)


def _needs(config, name):
    return next(step for step in steps(config) if step.name == name).needs


def test_costs_are_told(two_rounds, data, take):
    """Curves of the local model are those of Eq. 2, of the global model those of Eq. 4."""
    config, weights = two_rounds
    for step, names in (
        ("local-2", {"loss", "cross entropy", "variation"}),
        ("global-2", {"loss", "overlap", "moved"}),
    ):
        kept = Kept()
        take(config, step, data, weights, reporter=kept)
        assert set(kept.curves) == names


def test_optimizers_count_on_the_gpu_where_an_update_is_captured():
    """Adam can then step in a CUDA graph; nothing is asked for on a CPU, nor without `capture`."""
    model = torch.nn.Linear(2, 2)
    for capture, device, expected in ((True, "cuda", True), (True, "cpu", False), (False, "cuda", False)):
        training = dataclasses.replace(ONE, capture=capture)
        assert bool(learning._adam(model, training, device).defaults["capturable"]) == expected


def test_dilated_maps_by_hand():
    """Each pixel grows by so many each way, in any leading axes; by none nothing changes."""
    maps = torch.zeros(2, 3, 8, 8, dtype=torch.bool)
    maps[1, 2, 3, 7] = True
    assert torch.equal(grown(maps, 0), maps)
    found = grown(maps, 2)
    assert found.dtype == torch.bool and found.shape == maps.shape
    assert found.nonzero().tolist() == [[1, 2, r, c] for r in range(1, 6) for c in (5, 6, 7)]


def test_moved_clips_stay_clips():
    """A clip is turned over and moved as one, what is shown and what is true alike; nothing comes in again."""
    maps = torch.zeros(2, 4, 3, 16, 16, dtype=torch.bool)
    for t in range(3):
        maps[:, :, t, 7, 6 + 2 * t] = True
    rng, places = np.random.default_rng(0), set()
    assert torch.equal(moved(maps, 0.0, rng), maps)
    for _ in range(50):
        after = moved(maps, 0.2, rng)
        assert torch.equal(after[0], after[1])
        for clip in after[0]:
            rows, columns = zip(*(frame.nonzero()[0].tolist() for frame in clip), strict=True)
            assert len(set(rows)) == 1
            step = columns[1] - columns[0]
            assert abs(step) == 2 and columns[2] - columns[1] == step
            places.add((rows[0], columns[0], step))
    assert {step for *_, step in places} == {-2, 2}
    assert max(row for row, *_ in places) <= 8 + 3 and min(row for row, *_ in places) >= 7 - 3
    edge = torch.zeros(2, 20, 1, 16, 16, dtype=torch.bool)
    edge[..., 0, :] = True
    counts = moved(edge, 0.2, rng).sum((-1, -2))
    assert counts.max() <= 16 and counts.min() == 0  # what is moved out is gone


def test_the_dilation_shrinks(small, data, take, two_rounds):
    """Of the first steps of training alone it counts: with none of it the first update is another."""
    weights, costs = two_rounds[1], {}
    for dilation in (0, 2):
        for shrinks in (1, 100):
            config = small(
                dilation=dilation,
                dilation_shrinks=shrinks,
                attention_training=Training(batch=2, updates_per_epoch=4, epochs=1, report_every=1, learning_rate=1e-9),
            )
            kept = Kept()
            take(config, "global-0", data, weights, reporter=kept)
            costs[dilation, shrinks] = kept.curves["overlap"]
    assert costs[0, 1] == costs[0, 100]
    differs = [a != b for a, b in zip(costs[2, 1], costs[0, 1], strict=True)]
    assert differs == [True, True, False, False]
    assert all(a != b for a, b in zip(costs[2, 100], costs[0, 1], strict=True))


def test_a_single_training_video_is_refused(small, data, take):
    """Halves are of two videos at least."""
    alone = {"videos": Collection("alone", tuple(data["videos"])[:1]), "images": data["images"]}
    weights = {"maps": take(small(), "maps", alone, {}), "backbone": take(small(), "backbone", alone, {})}
    with pytest.raises(ValueError, match="expected at least two training videos for halves, got film0"):
        take(small(), "half-1", alone, weights)


def test_videos_shorter_than_a_clip_are_learnt_from(small, films, two_rounds, take):
    """Their frames are repeated: all steps run on videos of 3 and 4 frames, with clips of 6."""
    once = dataclasses.replace(ONE, updates_per_epoch=1)
    names = ("training", "halves", "updating", "attention_training", "attention_updating")
    config = small(clips=Drawing(length=6, prepared=1), **dict.fromkeys(names, once))
    short, weights = {"videos": Collection("short", tuple(films(2, length=3)))}, dict(two_rounds[1])
    for step in steps(config):
        if step.name != "backbone":
            weights[step.name] = take(config, step.name, short, weights)
    assert weights["crossed-1-1"]["frames"].shape == (1, 7)
    assert set(weights["crossed-1-1"]["frames"][0].tolist()) <= set(range(4))


@pytest.mark.parametrize(
    "step", ["backbone", "fcn", "half-1", pytest.param("local-2", marks=pytest.mark.slow), "global-0"]
)
def test_gradients_of_parts_add_up_to_the_wholes(step, two_rounds, data, take, parted):
    """Of an update by several processes: each takes its part of the minibatch, and all of them the whole."""
    config, weights = two_rounds
    if step == "fcn":
        config = dataclasses.replace(config, rounds=0, network="FCN", stages="1-stage")
    assert next(each.parallel for each in steps(config) if each.name == step)
    whole, summed = parted(lambda: take(config, step, data, weights))
    for one, other in zip(whole, summed, strict=True):
        assert (one - other).abs().max() <= 1e-5 * one.abs().max()
