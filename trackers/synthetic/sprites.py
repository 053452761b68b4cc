"""Moving sprites: clips of one target, with all that makes tracking hard, and the exact truth of it.

A sprite moves over a textured background, among others of its look and behind what passes in front of it.
Paths and deformations are drawn for a whole clip at once; frames are composed from anti-aliased sprites,
in whole numbers, so that a seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence as SequenceOf
from dataclasses import dataclass, replace

import cv2
import numpy as np

from trackers import boxes
from trackers.sequence import Image, Sequence
from trackers.synthetic import shapes, textures
from trackers.synthetic.shapes import SIDE, UNIT, Sprite

# What may happen to a target, by the names of OTB's and UAV123's attributes, in their order.
OTB = ("IV", "OPR", "SV", "OCC", "DEF", "MB", "FM", "IPR", "OV", "BC", "LR")
UAV123 = ("SV", "ARC", "LR", "FM", "FOC", "POC", "OV", "BC", "IV", "VC", "CM", "SOB")
CHALLENGES = tuple(sorted({*OTB, *UAV123} - {"OCC", "VC"}))  # these two follow from others
TAGS = ("camera_motion", "illum_change", "motion_change", "occlusion", "size_change")  # VOT's, frame by frame

REACH = 24  # pixels that the camera may move each way
FINER = 2  # sprites are drawn on a grid so many times finer, and averaged
SEEN = 9  # pixels; a target of which fewer are in the image is out of view


@dataclass(frozen=True)
class Scene:
    """What a clip shows.

    label: class of the target, one of `shapes.LABELS`. challenges: of `CHALLENGES`, what happens to it.
    length: frames. size: their width and height, in pixels. side: of the target in the first frame, in
    pixels. speed: how far it usually moves in a frame, in its sides. distractors: others of its class that
    move among it (SOB makes them look like it). clutter: things that lie about (BC gives them its colours).
    grey: whether the frames have no colours.
    """

    label: str = "disc"
    challenges: tuple[str, ...] = ()
    length: int = 50
    size: tuple[int, int] = (128, 96)
    side: float = 26.0
    speed: float = 0.12
    distractors: int = 1
    clutter: int = 6
    grey: bool = False

    def __post_init__(self) -> None:
        if self.label not in shapes.LABELS:
            raise ValueError(f"label: expected one of {', '.join(shapes.LABELS)}, got {self.label!r}")
        strange = sorted(set(self.challenges) - set(CHALLENGES))
        if strange:
            raise ValueError(f"challenges: expected some of {', '.join(CHALLENGES)}, got {', '.join(strange)}")
        if self.length < 1:
            raise ValueError(f"length: expected at least 1 frame, got {self.length}")
        if not 0 < self.side <= min(self.size) / 2:
            raise ValueError(f"side: expected more than 0 and at most half of {self.size}, got {self.side:g}")
        for name in ("speed", "distractors", "clutter"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name}: expected at least 0, got {getattr(self, name):g}")


@dataclass(frozen=True)
class Clip:
    """Frames and what is true of the target in them; T frames of height H and width W.

    frames: uint8 RGB (T, H, W, 3). whole: bool (T, H, W), the pixels that the target covers by half or
    more, were nothing in front of it. visible: those of them that nothing hides by half or more.
    boxes: float (T, 4), the tight extent of the whole target, cut at the image's border; NaN where it is
    out of view. polygons: float (T, 8), corners of the tight rectangle turned with the target, not cut;
    NaN likewise. occlusion: float (T,), the hidden share of `whole`; 0 where that is empty.
    inside: float (T,), the share of the target's extent that lies in the image.
    tags: bool (T,) by each of `TAGS`; attributes: of `OTB` and `UAV123`; both of what really happens.
    """

    label: str
    frames: np.ndarray
    whole: np.ndarray
    visible: np.ndarray
    boxes: np.ndarray
    polygons: np.ndarray
    occlusion: np.ndarray
    inside: np.ndarray
    tags: dict[str, np.ndarray]
    attributes: frozenset[str]

    def __len__(self) -> int:
        return len(self.frames)

    def sequence(self, name: str) -> Sequence:
        """The clip as a sequence of this name, with polygons for regions and OTB's attributes."""
        return Sequence(
            name,
            self.frames,
            self.boxes,
            regions=self.polygons,
            tags=self.tags,
            attributes=tuple(code for code in OTB if code in self.attributes),
            label=self.label,
            size=(self.frames.shape[2], self.frames.shape[1]),
        )


@dataclass(frozen=True)
class Picture:
    """One image, uint8 RGB, and the objects in it: their classes, and boxes (objects, 4) cut at its border."""

    image: Image
    labels: tuple[str, ...]
    boxes: np.ndarray


@dataclass(frozen=True)
class Mover:
    """A sprite on its way through T frames.

    at: (T, 2), its centre in the frame, in pixels. axes: (T, 2, 2), what a unit of its own x and y becomes.
    bend: (T,); a point (x, y) of the sprite goes to (x + bend sin(pi y), y). blur: (T, 2), the way that it
    makes while the shutter is open.
    """

    sprite: Sprite
    at: np.ndarray
    axes: np.ndarray
    bend: np.ndarray
    blur: np.ndarray

    def outline(self) -> np.ndarray:
        """The sprite's outline in the frames: (T, points, 2)."""
        x, y = self.sprite.outline.T
        bent = np.stack([x + self.bend[:, None] * np.sin(np.pi * y), np.broadcast_to(y, (len(self.at), len(y)))], -1)
        return np.einsum("tij,tpj->tpi", self.axes, bent) + self.at[:, None]


def render(scene: Scene, seed: int, follow: int = 0) -> Clip:
    """The clip of this scene. follow: whose truth is told, 0 the target's, 1 and more a distractor's.

    The frames of one seed are the same whoever is followed. Raises ValueError where nobody is to follow.
    """
    if not 0 <= follow <= scene.distractors:
        raise ValueError(f"follow: expected 0 to {scene.distractors}, the scene's distractors, got {follow}")
    width, height = scene.size
    world_rng, target_rng, others_rng, front_rng, light_rng = np.random.default_rng(seed).spawn(5)
    camera = _camera(scene, world_rng)
    target = _target(scene, target_rng)
    rivals = [_distractor(scene, others_rng) for _ in range(scene.distractors)]
    order = [*rivals[::-1], target, *_occluders(scene, target, front_rng)]  # from back to front
    followed = order[scene.distractors - follow]
    world = _world(scene, world_rng)
    light = _light(scene, light_rng)

    frames = np.empty((scene.length, height, width, 3), np.uint8)
    whole = np.zeros((scene.length, height, width), bool)
    visible = np.zeros_like(whole)
    for t, (left, top) in enumerate(REACH + camera):
        frames[t] = world[top : top + height, left : left + width]
        for mover in order:
            place, alpha = _draw(frames[t], mover, t)
            visible[t][place] &= alpha < 128
            if mover is followed:
                whole[t][place] = visible[t][place] = alpha >= 128
        frames[t] = cv2.LUT(frames[t], np.rint(np.arange(256) * light[t]).astype(np.uint8))
    if scene.grey:
        frames = np.stack([np.broadcast_to(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)[..., None], f.shape) for f in frames])

    extent, tight, polygons = _regions(followed, scene.size)
    covered, shown = whole.sum((1, 2)), visible.sum((1, 2))
    gone = covered < SEEN
    tight[gone] = polygons[gone] = np.nan
    occlusion = 1 - shown / covered.clip(min=1) - (covered == 0)
    inside = boxes.area(boxes.clip(extent, width, height)) / boxes.area(extent)
    tags = _tags(followed, occlusion, camera, light)
    clip = Clip(scene.label, frames, whole, visible, tight, polygons, occlusion, inside, tags, frozenset())
    return replace(clip, attributes=_attributes(clip, scene, followed, light))


def picture(
    labels: SequenceOf[str], size: tuple[int, int], seed: int, sides: tuple[float, float] = (0.2, 0.5)
) -> Picture:
    """One image of objects of these classes. sides: theirs, from the least to the largest, in the image's shorter one.

    Later objects lie upon earlier ones, as far from them as a few tries find. One that is nearly hidden is not told.
    """
    rng = np.random.default_rng(seed)
    width, height = size
    image = np.ascontiguousarray(textures.background(height, width, rng))
    extents, covers = np.empty((len(labels), 4)), np.zeros((len(labels), height, width), bool)
    for i, label in enumerate(labels):
        scale = min(size) * rng.uniform(*sides) / 2
        tries = rng.uniform([0.1 * width, 0.1 * height], [0.9 * width, 0.9 * height], (8, 2))
        others = boxes.centre(extents[:i])
        distance = np.linalg.norm(tries[:, None] - others, axis=-1).min(1, initial=np.inf)
        at = tries[distance.argmax()][None]
        axes = _axes(np.array([scale]), np.radians(rng.uniform(-20, 20, 1)), rng.uniform(0.75, 1, 1), np.zeros(1))
        mover = Mover(shapes.sprite(label, rng), at, axes, np.zeros(1), np.zeros((1, 2)))
        place, alpha = _draw(image, mover, 0)
        covers[:i][:, place[0], place[1]] &= alpha < 128
        covers[i][place] = alpha >= 128
        extents[i] = _regions(mover, size)[0]
    tight = boxes.clip(extents, width, height)
    kept = np.flatnonzero(covers.sum((1, 2)) > 0.25 * boxes.area(tight)).tolist()
    return Picture(image, tuple(labels[i] for i in kept), tight[kept])


def _camera(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Where the camera looks, whole pixels (T, 2), within REACH: still, or wandering and shaking."""
    if "CM" not in scene.challenges:
        return np.zeros((scene.length, 2), np.int64)
    drift = _walk(scene.length, np.array([[-18.0, -18.0], [18.0, 18.0]]), 2.0, rng)
    return np.rint(drift + rng.integers(-1, 2, (scene.length, 2))).astype(np.int64)


def _world(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """All that the camera may come to see of the background and what lies about on it."""
    width, height = scene.size[0] + 2 * REACH, scene.size[1] + 2 * REACH
    world = np.ascontiguousarray(textures.background(height, width, rng))
    like_target = "BC" in scene.challenges
    pieces = scene.clutter * (3 if like_target else 1)
    for at in rng.uniform([0, 0], [width, height], (pieces, 2)):
        label = shapes.LABELS[rng.integers(len(shapes.LABELS))]
        thing = shapes.sprite(label, rng, shapes.hue(scene.label) if like_target else None)
        scale = scene.side / 2 * rng.uniform(0.5, 1.0, 1)
        axes = _axes(scale, rng.uniform(0, 2 * np.pi, 1), np.ones(1), np.zeros(1))
        _draw(world, Mover(thing, at[None], axes, np.zeros(1), np.zeros((1, 2))), 0)
    return world


def _light(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Brightness (T,) of each frame, at most 1; with IV it goes down, or down and up again, at once or slowly."""
    if "IV" not in scene.challenges:
        return np.ones(scene.length)
    t = np.arange(scene.length)
    dark, slow = rng.uniform(0.3, 0.45), rng.uniform(1, 8)
    down, up = scene.length * rng.uniform(0.15, 0.35), scene.length * rng.uniform(0.6, 0.8)
    share = (((t - down) / slow).clip(0, 1) - ((t - up) / slow).clip(0, 1)).clip(0, 1)
    return 1 - (1 - dark) * share


def _target(scene: Scene, rng: np.random.Generator) -> Mover:
    """The target on its way, with all that the scene asks for."""
    T, asked = scene.length, set(scene.challenges)
    time = np.linspace(0, 1, T)

    def swing(low: float, high: float) -> np.ndarray:
        """Up and down once or twice, by an extent between these, starting from 0."""
        turns, sign = rng.uniform(0.8, 1.6), rng.choice([-1, 1])
        return sign * rng.uniform(low, high) * np.sin(2 * np.pi * turns * time)

    grown = np.exp(np.abs(swing(0.5, 0.7))) if "SV" in asked else np.exp(swing(0.02, 0.1))
    turned = swing(0.7, 1.4) if "IPR" in asked else swing(0.03, 0.12)
    narrow = 1 - np.abs(swing(0.45, 0.6)) if "OPR" in asked else np.ones(T)
    stretched = np.exp(swing(0.4, 0.5)) if "ARC" in asked else np.ones(T)
    lean = swing(0.2, 0.35) if "OPR" in asked else np.zeros(T)
    bend = swing(0.15, 0.3) if "DEF" in asked else np.zeros(T)

    side = min(scene.side, 17.0) if "LR" in asked else scene.side
    scale = side / 2 * grown
    speed = scene.speed * side * np.ones(T)
    if "FM" in asked:
        speed[(time * 6).astype(int) % 2 == 1] = 0.45 * side  # in bursts
    border = side * (0.6 if "SV" not in asked else 0.9)
    room = np.array([[border, border], [scene.size[0] - border, scene.size[1] - border]])
    at = _walk(T, room, speed, rng)
    if "OV" in asked:  # out by the nearer side, and in again
        leaves, returns = rng.uniform(0.3, 0.4), rng.uniform(0.65, 0.8)
        away = (9 * (time - leaves)).clip(0, 1) * (9 * (returns - time)).clip(0, 1)
        right = at[T // 2, 0] > scene.size[0] / 2
        edge = scene.size[0] + 1.1 * side if right else -1.1 * side
        at[:, 0] += away * (edge - at[:, 0])
    velocity = np.diff(at, axis=0, prepend=at[:1])
    blur = np.zeros((T, 2))
    if "MB" in asked:
        blur = velocity + rng.normal(0, 0.12 * side, (T, 2))  # the hand that holds the camera shakes
        blur *= np.minimum(1, 0.5 * side / np.linalg.norm(blur, axis=1).clip(min=1e-9))[:, None]
    axes = _axes(scale, turned, narrow, lean)
    axes[:, :, 0] *= stretched[:, None]
    axes[:, :, 1] /= stretched[:, None]
    return Mover(shapes.sprite(scene.label, rng), at, axes, bend, blur)


def _distractor(scene: Scene, rng: np.random.Generator) -> Mover:
    """Another of the target's class: of its hue where it is to be mistaken for it, else of any."""
    T = scene.length
    alike = "SOB" in scene.challenges
    thing = shapes.sprite(scene.label, rng, None if alike else int(rng.integers(180)))
    scale = scene.side / 2 * (rng.uniform(0.85, 1.1) if alike else rng.uniform(0.7, 1.0))
    room = np.array([[scale, scale], [scene.size[0] - scale, scene.size[1] - scale]])
    at = _walk(T, room, scene.speed * scene.side, rng)
    turned = rng.uniform(-0.3, 0.3) + rng.uniform(-0.02, 0.02) * np.arange(T)
    return Mover(thing, at, _axes(np.full(T, scale), turned, np.ones(T), np.zeros(T)), np.zeros(T), np.zeros((T, 2)))


def _occluders(scene: Scene, target: Mover, rng: np.random.Generator) -> list[Mover]:
    """What passes in front of the target: two things that hide a part of it (POC), one that hides all of it (FOC)."""
    T, movers = scene.length, []
    meetings = [(0.3, False), (0.75, False)] if "POC" in scene.challenges else []
    meetings += [(0.55, True)] if "FOC" in scene.challenges else []
    for when, full in meetings:
        meeting = int(T * (when + rng.uniform(-0.05, 0.05)))  # the frame
        size = np.linalg.norm(target.axes[meeting], 2)  # half of the target's longer side
        half = size * (1.5 if full else 0.8)
        painted = textures.background(SIDE, SIDE, rng)
        slab = shapes.cut(painted, shapes.CONTOURS["square"], np.zeros(3, np.uint8))
        angle = rng.uniform(0, 2 * np.pi)
        direction = np.array([np.cos(angle), np.sin(angle)])
        beside = np.zeros(2) if full else 0.6 * size * direction[::-1] * [1, -1]
        way, pace = (3.5, 0.4) if full else (2.6, 0.25)  # in `size`: where it does not touch, and that in a frame
        velocity = direction * size * max(pace, way / max(meeting, 1))  # nothing is hidden in the first frame
        since = np.arange(T)[:, None] - meeting
        at = target.at[meeting] + beside + since * velocity
        axes = _axes(np.full(T, half / 0.85), np.full(T, angle), np.ones(T), np.zeros(T))
        movers.append(Mover(slab, at, axes, np.zeros(T), np.zeros((T, 2))))
    return movers


def _walk(length: int, room: np.ndarray, speed: float | np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A path (length, 2) within room (2, 2), lowest and highest x, y: straight at one pace, with sudden turns.

    It turns about every 15th frame, and where it meets a border.
    """
    leg = np.cumsum(rng.random(length) < 1 / 15)
    angle, pace = rng.uniform(0, 2 * np.pi, length + 1)[leg], rng.uniform(0.6, 1.5, length + 1)[leg]
    step = (speed * pace)[:, None] * np.stack([np.cos(angle), np.sin(angle)], -1)
    low, span = room[0], np.maximum(room[1] - room[0], 1e-6)
    free = rng.random(2) * span + np.cumsum(step, 0) - step[0]
    return low + span - np.abs(free % (2 * span) - span)


def _axes(scale: np.ndarray, turned: np.ndarray, narrow: np.ndarray, lean: np.ndarray) -> np.ndarray:
    """(T, 2, 2): made narrow across, leant, enlarged and turned (radians), in this order; all (T,)."""
    cos, sin, zero, one = np.cos(turned), np.sin(turned), np.zeros_like(lean), np.ones_like(lean)
    rotation = np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)
    shear = np.stack([np.stack([narrow, lean], -1), np.stack([zero, one], -1)], -2)
    return scale[:, None, None] * rotation @ shear


def _draw(image: Image, mover: Mover, t: int) -> tuple[tuple[slice, slice], np.ndarray]:
    """Draw it as it is in frame t upon `image`; returns the place, rows and columns, and its alpha there."""
    at, axes, blur, bend = mover.at[t], mover.axes[t], mover.blur[t], mover.bend[t]
    reach = np.abs(axes).sum(1) * (SIDE / 2 / UNIT) + np.abs(blur) / 2 + 1
    low, high = np.floor(at - reach).astype(int), np.ceil(at + reach).astype(int)
    pixels = _bend(mover.sprite.pixels, bend) if bend else mover.sprite.pixels
    matrix = FINER * axes / UNIT  # from the sprite's pixels to the finer grid
    offset = FINER * (at - low) - matrix @ np.full(2, (SIDE - 1) / 2) - 0.5
    size = tuple(int(n) for n in FINER * (high - low))
    patch = cv2.warpAffine(pixels, np.column_stack([matrix, offset]), size, flags=cv2.INTER_LINEAR)
    if blur.any():
        patch = cv2.filter2D(patch, -1, _streak(FINER * blur), borderType=cv2.BORDER_CONSTANT)
    patch = cv2.resize(patch, (size[0] // FINER, size[1] // FINER), interpolation=cv2.INTER_AREA)
    first, last = low.clip(0), np.minimum(high, image.shape[1::-1]).clip(0)
    place = (slice(first[1], last[1]), slice(first[0], last[0]))
    if (first >= last).any():
        return (slice(0), slice(0)), np.empty((0, 0), np.uint8)
    patch = patch[first[1] - low[1] : last[1] - low[1], first[0] - low[0] : last[0] - low[0]]
    clear = 255 - patch[..., 3:].astype(np.uint16)
    behind = ((image[place] * clear + 127) // 255).astype(np.uint8)
    image[place] = cv2.add(behind, np.ascontiguousarray(patch[..., :3]))
    return place, patch[..., 3]


def _bend(pixels: np.ndarray, bend: float) -> np.ndarray:
    y, x = np.indices(pixels.shape[:2], np.float32)
    back = x - np.float32(bend * UNIT) * np.sin(np.float32(np.pi / UNIT) * (y - np.float32((SIDE - 1) / 2)))
    return cv2.remap(pixels, back, y, cv2.INTER_LINEAR)


def _streak(way: np.ndarray) -> np.ndarray:
    """Weights of a blur along `way`, in pixels of the grid: a square array of odd side."""
    half = int(np.ceil(np.abs(way).max() / 2))
    steps = np.rint(np.linspace(-0.5, 0.5, 2 * half + 1)[:, None] * way).astype(int) + half
    weights = np.zeros((2 * half + 1,) * 2, np.float32)
    np.add.at(weights, (steps[:, 1], steps[:, 0]), 1)
    return weights / weights.sum()


def _regions(mover: Mover, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tight extents (T, 4), those cut at the image's border, and tight rectangles turned with the sprite (T, 8)."""
    outline = mover.outline()
    extent = boxes.xyxy_to_xywh(np.concatenate([outline.min(1), outline.max(1)], -1))
    across = mover.axes[:, :, 0] / np.linalg.norm(mover.axes[:, :, 0], axis=1, keepdims=True)
    own = np.stack([across, np.stack([-across[:, 1], across[:, 0]], -1)], 1)  # (T, 2, 2): its axes, as rows
    turned = np.einsum("tij,tpj->tpi", own, outline)
    low, high = turned.min(1), turned.max(1)
    corners = np.stack([low, np.stack([high[:, 0], low[:, 1]], -1), high, np.stack([low[:, 0], high[:, 1]], -1)], 1)
    return extent, boxes.clip(extent, *size), np.einsum("tji,tpj->tpi", own, corners).reshape(-1, 8)


def _tags(mover: Mover, occlusion: np.ndarray, camera: np.ndarray, light: np.ndarray) -> dict[str, np.ndarray]:
    """VOT's tags: what happens between a frame and the one before it, and whether something hides the target."""
    size = np.sqrt(np.abs(np.linalg.det(mover.axes)))
    velocity = np.diff(mover.at, axis=0, prepend=mover.at[:1])
    turn = np.linalg.norm(np.diff(velocity, axis=0, prepend=velocity[:1]), axis=1)
    turn[:2] = 0  # before the third frame nothing can change
    return {
        "camera_motion": np.diff(camera, axis=0, prepend=camera[:1]).any(1),
        "illum_change": np.abs(np.diff(light, prepend=light[0])) > 0.01,
        "motion_change": turn > 0.2 * size,
        "occlusion": occlusion > 0.1,
        "size_change": np.abs(np.diff(np.log(size), prepend=np.log(size[0]))) > 0.02,
    }


def _attributes(clip: Clip, scene: Scene, mover: Mover, light: np.ndarray) -> frozenset[str]:
    """Attributes by what happens, as OTB and UAV123 define them where they give a number."""
    seen = np.flatnonzero(~np.isnan(clip.boxes[:, 0]) & (clip.inside > 0.99))  # whole boxes
    first = clip.boxes[seen[:1]]
    size, aspect = boxes.area(clip.boxes[seen]), clip.boxes[seen, 2] / clip.boxes[seen, 3]
    area_ratio, aspect_ratio = size / boxes.area(first), aspect / (first[:, 2] / first[:, 3])
    across, down = mover.axes[:, :, 0], mover.axes[:, :, 1]
    angle = np.unwrap(np.arctan2(across[:, 1], across[:, 0]))
    flat = np.abs(np.linalg.det(mover.axes)) / np.square(np.linalg.norm(down, axis=1))  # foreshortened across
    moved = np.linalg.norm(np.diff(mover.at, axis=0), axis=1)
    side = np.sqrt(np.abs(np.linalg.det(mover.axes)))[1:] * 2
    happens = {
        "IV": np.ptp(light) > 0.2,
        "OPR": flat.max() > 1.3 * flat.min() and "OPR" in scene.challenges,
        "SV": ((area_ratio > 2) | (area_ratio < 0.5)).any(),
        "OCC": (clip.occlusion > 0.1).any(),
        "DEF": np.ptp(mover.bend) > 0.1,
        "MB": (np.linalg.norm(mover.blur, axis=1) > 2).sum() > 1,
        "FM": (moved > 0.35 * side).sum() > 1,
        "IPR": np.ptp(angle) > np.radians(25),
        "OV": (clip.inside < 0.8).any(),
        "BC": "BC" in scene.challenges,
        "LR": (size < 400).any(),
        "ARC": ((aspect_ratio > 2) | (aspect_ratio < 0.5)).any(),
        "FOC": (clip.occlusion > 0.98).any(),
        "POC": ((clip.occlusion > 0.1) & (clip.occlusion <= 0.98)).any(),
        "CM": clip.tags["camera_motion"].any(),
        "SOB": "SOB" in scene.challenges and scene.distractors > 0,
    }
    happens["VC"] = happens["OPR"]
    return frozenset(code for code, true in happens.items() if true)
