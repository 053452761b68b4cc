"""RecTracker and ConvTracker (Gan, Guo, Zhang, Cho 2015, arXiv:1511.06425).

A convolutional network sees each frame x_t, a recurrent network remembers what was seen and
where, and its output is the target's box, fed back at the next frame (Figure 2):

    phi(x_t) = conv(m(x_t, z_{t-1}))            Eq. 2
    h_t      = rec(h_{t-1}, z_{t-1}, phi(x_t))  Eq. 3
    z_t      = out(h_t)                         Eqs. 4-5

The variants of Section 5 are settings: `attention` is N of the N x N Gaussians (0: m is the
identity, RecTracker-ID), and `recurrent=False` is ConvTracker, which sees `history` frames and
boxes and remembers nothing.

Inside the model a box is its two corners (x0, y0, x1, y1), scaled so that [-1, 1] spans the frame.

Where the paper is silent, this is as the authors' code has it: pixels in [0, 1], that scaling and
a tanh on the box; output weights zero, recurrent weights orthogonal, other weights Glorot uniform;
before the first frame stands the first given box, and before that (ConvTracker) black frames and
boxes of zeros; the first frame is looked at with standard deviation 10 and stride 1 in a frame of
100 x 100, amplitude 1. Where they differ, this follows the paper: 200 units for 256, no pooling,
pixels in [0, 1] for ConvTracker too, Gaussians that are not normalised, a cost without the
division by the length. The code's attention mask is transposed (it is centred on rows where it
means columns); that is a bug, and not followed.

Of the attention's outputs Section 3.1 lists three (s, r, a) and Section 3.2 counts two: three, here.
In the units the reset gate acts before the matrix product, as in Cho et al.'s published equations
(in torch's own it acts after).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.boxes import iou, xywh_to_xyxy, xyxy_to_xywh
from trackers.optimizers import RMSProp
from trackers.sequence import Image
from trackers.tracker import Tracker
from trackers.training import Inputs, Reporter, Step, Training, Weights, fit


@dataclass(frozen=True)
class Config:
    """One variant; the defaults are the paper's RecTracker-ID."""

    recurrent: bool = True  # False: ConvTracker (Section 5)
    attention: int = 0  # N of the N x N Gaussians (Eq. 7); 0: identity (Eq. 6)
    image_size: int = 100  # K, pixels (Section 4)
    filters: int = 32  # Appendix A
    filter_size: int = 10  # pixels (Appendix A)
    stride: int = 5  # pixels (Appendix A)
    units: int = 200  # gated recurrent, or tanh in ConvTracker (Appendix A)
    history: int = 4  # frames and boxes that ConvTracker sees (Section 5, Appendix A)
    given: int = 1  # k, frames of a training clip whose box is given (Section 3.2)
    auxiliary: float = 1.0  # weight of Eq. 9, added to Eq. 8 (Section 3.2: "we add")
    epsilon: float = 1e-4  # under the root of RMSProp (Graves 2013, Eq. 40)
    training: Training = field(default_factory=Training)  # Appendix B

    def __post_init__(self) -> None:
        for name in ("filters", "filter_size", "stride", "units", "history", "given"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if self.attention < 0:
            raise ValueError(f"attention: expected N of N x N Gaussians, or 0 for none, got {self.attention}")
        if self.image_size < self.filter_size:
            raise ValueError(
                f"image_size: expected at least filter_size, {self.filter_size} pixels, got {self.image_size}"
            )
        if self.epsilon <= 0:
            raise ValueError(f"epsilon: expected a positive number, got {self.epsilon}")
        if self.auxiliary < 0:
            raise ValueError(f"auxiliary: expected a weight >= 0, got {self.auxiliary}")


class State(NamedTuple):
    """What goes from one frame to the next, for L videos at once."""

    past: Tensor  # (L, C - 1, K, K) uint8: the frames before, of which C are seen at once
    memory: Tensor  # (L, M): h of the recurrent network, or the boxes before in ConvTracker
    box: Tensor  # (L, 4): corners in [-1, 1]
    gaze: Tensor  # (L, 3): log-scale s, log-ratio r, log-amplitude a of the attention; (L, 0) without
    mask: Tensor  # (L, K, K): what the last frame was weighted with; (L, 0, 0) without attention


class GatedRecurrentUnits(nn.Module):
    """rec of Eq. 3: gated recurrent units (Cho et al. 2014).

    inputs: width of W phi(x) + b, which does not depend on the recurrence and comes from outside.
    memory: width of what is remembered.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.inputs = 3 * units
        self.memory = units
        self.place = nn.Linear(4, 3 * units, bias=False)
        self.gates = nn.Linear(units, 2 * units, bias=False)
        self.candidate = nn.Linear(units, units, bias=False)
        nn.init.xavier_uniform_(self.place.weight)
        for square in (*self.gates.weight.split(units), self.candidate.weight):
            nn.init.orthogonal_(square.detach())

    def forward(self, seen: Tensor, box: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        """(L, 3U), (L, 4), (L, U) -> the units h_t (L, U), and the memory (L, U): the same."""
        units = self.memory
        gates, candidate = (seen + self.place(box)).split([2 * units, units], dim=1)  # (L, 2U), (L, U)
        update, reset = (gates + self.gates(h)).sigmoid().chunk(2, dim=1)  # (L, U) each
        h_new = (candidate + self.candidate(reset * h)).tanh()  # (L, U)
        h = torch.lerp(h_new, h, update)  # (L, U)
        return h, h


class FullyConnected(nn.Module):
    """What ConvTracker has in place of rec: tanh units that see the boxes of the frames before."""

    def __init__(self, units: int, history: int) -> None:
        super().__init__()
        self.inputs = units
        self.memory = 4 * (history - 1)
        self.place = nn.Linear(4 * history, units, bias=False)
        nn.init.xavier_uniform_(self.place.weight)

    def forward(self, seen: Tensor, box: Tensor, before: Tensor) -> tuple[Tensor, Tensor]:
        """(L, U), (L, 4), (L, 4 (C - 1)) -> the units (L, U), and the boxes to remember (L, 4 (C - 1))."""
        boxes = torch.cat([before, box], dim=1)  # (L, 4 C), oldest first
        return (seen + self.place(boxes)).tanh(), boxes[:, 4:]


class Model(nn.Module):
    """The tracking system of Figure 2: `forward` along whole clips, `step` frame by frame."""

    first_gaze: Tensor

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.image_size = config.image_size
        self.attention = config.attention
        self.frames = 1 if config.recurrent else config.history  # C, frames seen at once
        side = (config.image_size - config.filter_size) // config.stride + 1  # S
        self.conv = nn.Conv2d(self.frames, config.filters, config.filter_size, config.stride)
        self.rec = (
            GatedRecurrentUnits(config.units) if config.recurrent else FullyConnected(config.units, config.history)
        )
        self.see = nn.Linear(side * side * config.filters, self.rec.inputs)
        self.out = nn.Linear(config.units, 4 + (3 if self.attention else 0))
        nn.init.xavier_uniform_(self.conv.weight)
        nn.init.xavier_uniform_(self.see.weight)
        for name, parameter in self.named_parameters():
            if name.endswith("bias") or name == "out.weight":
                nn.init.zeros_(parameter)
        # A CPU takes ten times as long for the gradient of filters that are not channels-last.
        self.conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its stub
        first_gaze = torch.tensor([math.log(0.2), math.log(0.01), 0.0] if self.attention else [])
        self.register_buffer("first_gaze", first_gaze, persistent=False)

    def start(self, box: Tensor) -> State:
        """The state before the first frame of L videos, whose targets' corners (L, 4) are given."""
        lanes, size = len(box), self.image_size
        return State(
            past=torch.zeros(lanes, self.frames - 1, size, size, dtype=torch.uint8, device=box.device),
            memory=box.new_zeros(lanes, self.rec.memory),
            box=box,
            gaze=self.first_gaze.expand(lanes, -1),
            mask=box.new_zeros(lanes, *((size, size) if self.attention else (0, 0))),
        )

    def gaussians(self, box: Tensor, gaze: Tensor) -> Tensor:
        """G of Eq. 7: the sum (L, K, K) of N x N Gaussians, each of height exp(a).

        Gaussian (i, j) is centred at the middle of the last box plus (i - N/2 - 0.5, j - N/2 - 0.5)
        exp(r) K in x, y, with a standard deviation of exp(s) K/2 pixels.
        """
        N, K = self.attention, self.image_size
        s, r, a = gaze.exp().unbind(1)  # (L,) each
        middle = (box[:, :2] + box[:, 2:] + 2) * (K / 4)  # (L, 2) x, y in pixels
        steps = torch.arange(1, N + 1, device=middle.device) - N / 2 - 0.5  # (N,)
        centres = middle[:, :, None] + steps * (r * K)[:, None, None]  # (L, 2, N)
        pixels = torch.arange(K, device=middle.device) + 0.5  # (K,)
        sigma = (s * (K / 2))[:, None, None, None]
        bells = (((pixels - centres[..., None]) / sigma) ** 2 / -2).exp()  # (L, 2, N, K)
        across, down = bells.sum(2).unbind(1)  # (L, K) each: the sum over i, j is a product of sums
        return (a[:, None] * down)[:, :, None] * across[:, None, :]  # (L, K, K)

    def look(self, frames: Tensor, mask: Tensor) -> Tensor:
        """Eq. 2, and the input projection W phi(x_t) + b of what comes next: (L, T, G).

        frames: uint8 (L, C - 1 + T, K, K), the first C - 1 of which came before the T looked at.
        mask: (L, K, K); not looked at without attention (Eq. 6).
        """
        x = frames.float().div_(255)  # (L, C - 1 + T, K, K)
        if self.attention:
            x = x * mask[:, None]  # Eq. 7
        x = x.unfold(1, self.frames, 1)  # (L, T, K, K, C)
        lanes, T = x.shape[:2]
        x = x.flatten(0, 1).permute(0, 3, 1, 2)  # (L T, C, K, K), channels last
        phi = self._convolve(x).tanh_()  # (L T, F, S, S)
        phi = phi.permute(0, 2, 3, 1).flatten(1)  # (L T, S S F)
        # In this order two cores share the weights, the larger factor, when few lanes are tracked.
        seen = torch.addmm(self.see.bias[:, None], self.see.weight, phi.t())  # (G, L T)
        return seen.t().contiguous().unflatten(0, (lanes, T))  # (L, T, G)

    def _convolve(self, x: Tensor) -> Tensor:
        r = self.conv.stride[0]
        if not x.requires_grad or x.shape[-1] % r or self.conv.kernel_size[0] % r:
            return self.conv(x)
        # A stride of r is a stride of 1 over blocks of r x r pixels, and three times as fast a gradient of x.
        x, filters = (F.pixel_unshuffle(part, r) for part in (x, self.conv.weight))  # (.., C r r, K/r, K/r)
        return F.conv2d(x.contiguous(memory_format=torch.channels_last), filters, self.conv.bias)

    def advance(self, state: State, seen: Tensor) -> State:
        """Eqs. 3-5, from what was seen (L, G) of the frame."""
        with torch.autocast(seen.device.type, enabled=False):  # a box is finer than bfloat16
            units, memory = self.rec(seen.float(), state.box, state.memory)  # (L, U), (L, M)
            box, gaze = self.out(units).tensor_split([4], dim=1)  # (L, 4), (L, 3 or 0)
        return state._replace(memory=memory, box=box.tanh(), gaze=gaze)

    def step(self, state: State, frame: Tensor) -> State:
        """One frame (L, K, K) uint8 of L videos; the box of the new state is the prediction."""
        frames = torch.cat([state.past, frame[:, None]], dim=1)  # (L, C, K, K)
        if self.attention:
            state = state._replace(mask=self.gaussians(state.box, state.gaze))
        seen = self.look(frames, state.mask)[:, 0]  # (L, G)
        return self.advance(state._replace(past=frames[:, 1:]), seen)

    def forward(self, frames: Tensor, given: Tensor) -> Tensor:
        """Track clips (L, T, K, K) uint8 from their first k boxes (L, k, 4): predictions (L, T - k, 4).

        Boxes are corners in [-1, 1]. What is fed back is the model's own prediction from frame k on
        (Section 3.2). Without attention nothing before the recurrence depends on it, so all frames
        are looked at in one go; the result is that of `step` to rounding.
        """
        k = given.shape[1]
        if frames.shape[1] <= k:
            raise ValueError(f"expected clips of more than {k} frames, the number given, got {frames.shape[1]}")
        state = self.start(given[:, 0])
        if not self.attention:
            past_and_clip = torch.cat([state.past, frames], dim=1)  # (L, C - 1 + T, K, K)
            seen = self.look(past_and_clip, state.mask).unbind(1)  # T of (L, G)
        predicted = []
        for t in range(frames.shape[1]):
            if 1 <= t <= k:
                state = state._replace(box=given[:, t - 1])
            state = self.step(state, frames[:, t]) if self.attention else self.advance(state, seen[t])
            if t >= k:
                predicted.append(state.box)
        return torch.stack(predicted, dim=1)  # (L, T - k, 4)


def cost(predicted: Tensor, target: Tensor, auxiliary: float) -> Tensor:
    """-(Eq. 8 + auxiliary Eq. 9), less a constant: corners (N, T - k, 4) -> a scalar, >= 0.

    With an identity covariance -log p is half the squared error: that of the last frame, plus
    those of all predicted frames; the mean over N clips.
    """
    error = (predicted - target).square().sum(-1) / 2  # (N, T - k)
    return (error[:, -1] + auxiliary * error.sum(1)).mean()


def to_corners(boxes: Tensor, image_size: int) -> Tensor:
    """Boxes (..., 4) x, y, width, height in pixels -> x0, y0, x1, y1 with [-1, 1] across the frame."""
    return xywh_to_xyxy(boxes) * (2 / image_size) - 1


def to_boxes(corners: Tensor, image_size: int) -> Tensor:
    """The inverse of `to_corners`; corners that are the wrong way round are an empty box."""
    boxes = xyxy_to_xywh((corners + 1) * (image_size / 2))
    return torch.cat([boxes[..., :2], boxes[..., 2:].clamp(min=0)], dim=-1)


def train(inputs: Inputs, config: Config, reporter: Reporter) -> Weights:
    """Appendix B: RMSProp on clips from the training data's `clips`, fresh ones at every update."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(inputs.seed)
        model = Model(config).to(inputs.device)

    def batch(update: int) -> tuple[Tensor, ...]:
        return inputs.data["train"].clips(config.training.batch, seed=inputs.seed, index=update, device=inputs.device)

    def costs(frames: Tensor, boxes: Tensor) -> dict[str, Tensor]:
        corners = to_corners(boxes, config.image_size)  # (N, T, 4)
        target = corners[:, config.given :]  # (N, T - k, 4)
        predicted = model(frames, corners[:, : config.given])  # (N, T - k, 4)
        overlap = iou(xyxy_to_xywh(predicted.detach()), xyxy_to_xywh(target))  # (N, T - k)
        return {"loss": cost(predicted, target, config.auxiliary), "iou": overlap.mean()}

    optimizer = RMSProp(model.parameters(), lr=config.training.learning_rate, epsilon=config.epsilon)
    return fit(model, optimizer, batch, costs, config.training, reporter)


def steps(config: Config) -> list[Step]:
    """One step: the whole model, end to end."""
    return [Step("train", train, parallel=True)]


class RecTracker(Tracker):
    """Any variant, tracking: one forward pass an update for all lanes.

    Images of another size than the model's are resized to K x K, and boxes scaled back. Colour
    is reduced to luma. Boxes are float, in pixels, and may be empty.
    """

    def __init__(self, model: Model, device: str) -> None:
        self.model = model.to(device).eval()
        self.device = device
        with torch.inference_mode():
            self.state = self.model.start(torch.zeros(0, 4, device=device))  # of every lane

    @torch.inference_mode()
    def initialize(self, lanes: Sequence[int], images: Sequence[Image], regions: np.ndarray) -> None:
        boxes = np.asarray(regions / self._scale(images), np.float32)
        corners = to_corners(torch.from_numpy(boxes).to(self.device), self.model.image_size)  # (L, 4)
        missing = max(lanes) + 1 - len(self.state.box)
        if missing > 0:
            more = self.model.start(corners.new_zeros(missing, 4))
            self.state = State(*(torch.cat(both) for both in zip(self.state, more, strict=True)))
        state = self._step(self.model.start(corners), images)
        self._keep(lanes, state._replace(box=corners))

    @torch.inference_mode()
    def update(self, lanes: Sequence[int], images: Sequence[Image]) -> np.ndarray:
        index = torch.as_tensor(lanes, device=self.device)
        state = self._step(State(*(part[index] for part in self.state)), images)
        self._keep(lanes, state)
        return to_boxes(state.box, self.model.image_size).cpu().numpy() * self._scale(images)

    def attention(self, lanes: Sequence[int]) -> np.ndarray | None:
        """The masks (len(lanes), K, K) of the last step; None for a model without attention."""
        return self.state.mask[list(lanes)].cpu().numpy() if self.model.attention else None

    def _keep(self, lanes: Sequence[int], state: State) -> None:
        index = torch.as_tensor(lanes, device=self.device)
        for every, part in zip(self.state, state, strict=True):
            every[index] = part

    def _step(self, state: State, images: Sequence[Image]) -> State:
        frames = np.stack([_grey(image, self.model.image_size) for image in images])  # (L, K, K)
        # In TF32 a box would depend, in its first decimals, on how many lanes share the batch.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return self.model.step(state, torch.from_numpy(frames).to(self.device))

    def _scale(self, images: Sequence[Image]) -> np.ndarray:
        """(L, 4): pixels of each image to a pixel of the model's frame, for x, y, width, height."""
        return np.array([image.shape[1::-1] * 2 for image in images]) / self.model.image_size


def _grey(image: Image, size: int) -> np.ndarray:
    """(size, size) uint8. A grey image seen as RGB (`GreyFrames`) has stride 0 from red to blue."""
    grey = image[..., 0] if image.strides[2] == 0 else cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    if grey.shape == (size, size):
        return grey
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA)


def tracker(config: Config, weights: Weights, device: str) -> Tracker:
    """The tracker of these settings and weights."""
    model = Model(config)
    model.load_state_dict(dict(weights))
    return RecTracker(model, device)
