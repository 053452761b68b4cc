"""RMAN as one ports MDNet's code to it: one video, patch by patch, torch's own layers. What ours is measured against.

Of `trackers.families.rman` it has the settings, the way in which samples are drawn, in the same order, and the weights
that heads begin with, so that with the same random numbers both do the same work. Crops, convolutions, Eqs. 1 to 7,
descent and box regression are written down again, from the paper.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trackers.boxes import centre, inside
from trackers.families.rman import Config, Learning, network, sampling
from trackers.sequence import Image

BATCH = 256  # patches that are looked at together
SEQUENCES = 8  # of remembered patches, in the first frame
NORM = 20.0  # of features, for the box regression


class Samples(NamedTuple):
    """Sequence samples X = (x, b_1, ..., b_K) (Section III-A), N of them, of F frames.

    features: (N, D) of the patches x. remembered: (F, K, D) of the frames' b_K, ..., b_1. of: int64 (N,), the frames
    of the samples.
    """

    features: Tensor
    remembered: Tensor
    of: Tensor

    def pick(self, numbers: Tensor | np.ndarray) -> Samples:
        """Some of them, with no other frames than theirs."""
        numbers = torch.as_tensor(numbers)
        frames, of = self.of[numbers].unique(return_inverse=True)
        return Samples(self.features[numbers], self.remembered[frames], of)


def joined(parts: Iterable[Samples]) -> Samples:
    """The samples of several, one after the other."""
    parts = list(parts)
    starts = np.cumsum([0, *(len(part.remembered) for part in parts)])
    return Samples(
        torch.cat([part.features for part in parts]),
        torch.cat([part.remembered for part in parts]),
        torch.cat([part.of + int(start) for part, start in zip(parts, starts, strict=False)]),
    )


class States(NamedTuple):
    """What a head makes of N samples; U units.

    current: h_T (N, U). activated, reference: h~_T and a_T (N, U); None where no memory is activated. final: h*_T =
    [h~_T, h_T] (N, 2 U), or h_T alone. logits: (N, 2), background and target.
    """

    current: Tensor
    activated: Tensor | None
    reference: Tensor | None
    final: Tensor
    logits: Tensor


class Head(nn.Module):
    """LSTM, memory activation and classifier; the variants of Section V-C, too."""

    def __init__(self, inputs: int, config: Config) -> None:
        super().__init__()
        self.config = config
        if config.recurrent:
            self.lstm = nn.LSTM(inputs, config.units, batch_first=True)
            nn.init.zeros_(self.lstm.get_parameter("bias_hh_l0").requires_grad_(False))  # one bias is enough
        else:
            self.fc4 = nn.Linear(inputs, config.units)
        self.fc5 = nn.Linear(config.units * (1 if config.activation == "none" else 2), config.hidden)
        self.fc6 = nn.Linear(config.hidden, 2)
        self.dropout = nn.Dropout(config.dropout)

    @torch.no_grad()
    def take(self, heads: Mapping[str, Tensor]) -> None:
        """Begin with these: parameters as `trackers.families.rman.network` names them, of one lane."""
        first = self.lstm if self.config.recurrent else self.fc4
        names = {"input.weight": "weight_ih_l0", "input.bias": "bias_ih_l0", "recurrent.weight": "weight_hh_l0"}
        for name, value in heads.items():
            if name.startswith(("input.", "recurrent.")):
                own = first.get_parameter(names[name] if self.config.recurrent else name.removeprefix("input."))
            else:
                layer, part = name.split(".")
                own = (self.fc5 if layer == "hidden" else self.fc6).get_parameter(part)
            own.copy_(value)

    def forward(self, samples: Samples) -> States:
        """The memory's states are made once a frame, and each sample takes one more step from the last of them."""
        if self.config.activation == "none":
            h = self.encode(samples)[1]
            return States(h, None, None, h, self.classify(h))
        memory, h = self.encode(samples)
        weights = F.cosine_similarity(h[:, None], memory, dim=2)  # theta (N, K): Eq. 1
        softened = weights.softmax(1)
        activated, reference = torch.zeros_like(h), torch.zeros_like(h)
        for i in range(self.config.remembered):
            weight = weights[:, i, None] if self.config.activation == "cosine" else 1 / self.config.remembered
            activated = activated + weight * memory[:, i]  # Eq. 2
            reference = reference + softened[:, i, None] * memory[:, i]  # Eq. 4
        final = torch.cat([activated, h], 1)
        return States(h, activated, reference, final, self.classify(final))

    def classify(self, final: Tensor) -> Tensor:
        """Logits (N, 2) of background and target."""
        return self.fc6(self.dropout(F.relu(self.fc5(self.dropout(final)))))

    def encode(self, samples: Samples) -> tuple[Tensor, Tensor]:
        """h_{T-K}, ..., h_{T-1} (N, K, U) and h_T (N, U)."""
        if not self.config.recurrent:
            memory = F.relu(self.fc4(samples.remembered))
            return memory[samples.of], F.relu(self.fc4(samples.features))
        memory, (h, c) = self.lstm(samples.remembered)  # (F, K, U), (1, F, U) twice
        _, (h, _) = self.lstm(samples.features[:, None], (h[:, samples.of], c[:, samples.of]))
        return memory[samples.of], h[0]


def losses(states: States, config: Config) -> dict[str, Tensor]:
    """Eqs. 3, 5, 6 and 7 of N positives, then N negatives; the n-th positive's partner is the n-th negative."""
    pairs = len(states.final) // 2
    labels = (torch.arange(2 * pairs) < pairs).long()
    classification = F.cross_entropy(states.logits, labels)  # Eq. 3
    if states.reference is None:
        return {"loss": classification}

    near, far = (states.current - states.reference).square().sum(1).split(pairs)
    coherence = F.relu(near - far + config.margin).mean()  # Eq. 5

    middle = states.final[:pairs].mean(0)
    scatter, apart = (states.final - middle).square().sum(1).split(pairs)
    compactness = (scatter / apart).mean()  # Eq. 6

    loss = classification + config.coherence * coherence + config.compactness * compactness  # Eq. 7
    return {"loss": loss, "classification": classification, "coherence": coherence, "compactness": compactness}


class Port:
    """One video at a time. weights: VGG-M's, conv1.weight, ..., conv3.bias. rng: what boxes and heads are drawn by."""

    def __init__(self, config: Config, weights: Mapping[str, Tensor], rng: np.random.Generator) -> None:
        self.config, self.rng = config, rng
        self.layers = layers(config.backbone.widths, weights)
        with torch.no_grad():
            self.inputs = self.layers(torch.zeros(1, 3, config.size, config.size)).numel()

    def crop(self, image: Image, box: np.ndarray) -> Image:
        """The patch of a box, uint8 (S, S, 3): the box is what its border leaves; outside of the image it is grey."""
        size, border = self.config.size, self.config.border
        x, y, width, height = (float(value) for value in box)
        a, b = width / (size - 2 * border), height / (size - 2 * border)  # pixels of the image in one of the patch
        # From the centre of a patch's pixel to the image, whose pixels have their centres at whole numbers in OpenCV.
        matrix = np.array([[a, 0, x + a * (0.5 - border) - 0.5], [0, b, y + b * (0.5 - border) - 0.5]])
        grey = (self.config.backbone.grey,) * 3
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(image, matrix, (size, size), flags=flags, borderValue=grey)

    @torch.no_grad()
    def features(self, image: Image, boxes: np.ndarray) -> Tensor:
        """conv3 of the boxes' patches, place by place: (N, D)."""
        seen = []
        for start in range(0, len(boxes), BATCH):
            patches = np.stack([self.crop(image, box) for box in boxes[start : start + BATCH]])
            patches = patches.transpose(0, 3, 1, 2).astype(np.float32) - self.config.backbone.grey
            responses = self.layers(torch.from_numpy(np.ascontiguousarray(patches)))  # (n, C, h, w)
            seen.append(responses.permute(0, 2, 3, 1).flatten(1))
        return torch.cat(seen)

    def initialize(self, image: Image, region: np.ndarray) -> None:
        """Learn head and box regressor from the first frame (Section IV-A)."""
        config, size, rng = self.config, image.shape[1::-1], self.rng
        self.box = self.refined = np.asarray(region, float)
        self.frame, self.found = 0, True
        [target] = self.features(image, self.box[None])
        self.memory = deque([target] * config.remembered, config.remembered)

        wide = partial(sampling.uniform, self.box, shift=0.3, scale=1.6, aspect=1.1, size=size, rng=rng)
        regression = config.sampling.regression
        around = sampling.overlapping(wide, self.box, regression, low=0.6)
        near = self.positives_near(config.sampling.first_positives, size)
        half = config.sampling.first_negatives // 2
        far = partial(sampling.uniform, self.box, shift=1.0, scale=2.0, aspect=1.1, size=size, rng=rng)
        anywhere = partial(sampling.whole, self.box, scale=1.2, aspect=1.1, size=size, rng=rng)
        background = [sampling.overlapping(draw, self.box, half, high=config.negative) for draw in (far, anywhere)]
        positives, negatives = self.samples(image, near), self.samples(image, np.concatenate(background))

        self.regress = ridge(self.features(image, around), around, self.box, config.ridge)
        first, others = self.in_sequences(positives.features, negatives.features)
        turns = self.turns(config.first, first, others)
        self.head = self.new_head()
        self.learn(config.first, first, others, turns)
        kept = negatives.pick(np.arange(0, 2 * half, max(1, 2 * half // config.sampling.negatives)))
        self.positives, self.negatives = deque([positives], config.long), deque([kept], config.short)

    def update(self, image: Image) -> np.ndarray:
        """Find the target (Section IV-B), keep samples of it, and learn from them every so many frames (IV-C)."""
        config, size, rng = self.config, image.shape[1::-1], self.rng
        self.frame += 1
        shift = config.sampling.shift if self.found else config.sampling.lost
        scale = config.sampling.scale
        candidates = sampling.gaussian(self.box, config.sampling.candidates, shift, scale, size, rng)
        seen = self.samples(image, candidates)
        best = self.scores(seen).softmax(1)[:, 1].topk(config.best)
        self.found = best.values.mean().item() > config.found
        if self.found:
            chosen = candidates[best.indices.numpy()]
            self.box = chosen.mean(0)
            self.refined = inside(self.regress(seen.features[best.indices], chosen).mean(0), *size)
            far = partial(sampling.uniform, self.box, shift=1.5, scale=1.2, aspect=1.1, size=size, rng=rng)
            background = sampling.overlapping(far, self.box, config.sampling.negatives, high=config.negative)
            near = self.positives_near(config.sampling.positives, size)
            self.positives.append(self.samples(image, near))
            self.negatives.append(self.samples(image, background))
        self.memory.append(self.features(image, self.box[None])[0])
        if self.frame % config.every == 0:
            positives, negatives = joined(self.positives), joined(self.negatives)
            self.learn(config.update, positives, negatives, self.turns(config.update, positives, negatives))
        return self.refined

    def new_head(self) -> Head:
        """A head that has learnt nothing."""
        config = self.config
        head = Head(self.inputs, config)
        generator = torch.Generator().manual_seed(int(self.rng.integers(2**32)))
        remembers = config.activation != "none"
        sides = self.inputs, config.units, config.hidden, config.initial_std
        head.take(network.initial(*sides, config.recurrent, remembers, generator))
        return head

    def positives_near(self, count: int, size: tuple[int, int]) -> np.ndarray:
        """Boxes (count, 4) that are the target's."""
        draw = partial(sampling.gaussian, self.box, shift=0.1, scale=1.2, size=size, rng=self.rng)
        return sampling.overlapping(draw, self.box, count, low=self.config.positive)

    def samples(self, image: Image, boxes: np.ndarray) -> Samples:
        """Sequence samples of a frame: its boxes' patches, each with what is remembered."""
        features, remembered = self.features(image, boxes), torch.stack(list(self.memory))
        return Samples(features, remembered[None], torch.zeros(len(boxes), dtype=torch.int64))

    def in_sequences(self, positives: Tensor, negatives: Tensor) -> tuple[Samples, Samples]:
        """Those of the first frame, (N, D) each: what they follow are patches drawn from the positives."""
        parts = [some.tensor_split(SEQUENCES) for some in (positives, negatives)]
        drawn = [self.rng.integers(len(positives), size=self.config.remembered) for _ in range(SEQUENCES)]
        remembered = torch.stack([positives[torch.from_numpy(numbers)] for numbers in drawn])  # (F, K, D)
        first, others = (
            Samples(features, remembered, torch.arange(SEQUENCES).repeat_interleave(torch.tensor([*map(len, some)])))
            for features, some in zip((positives, negatives), parts, strict=True)
        )
        return first, others

    @torch.no_grad()
    def scores(self, samples: Samples) -> Tensor:
        """Logits (N, 2) of background and target."""
        self.head.eval()
        return self.head(samples).logits

    def turns(self, learning: Learning, positives: Samples, negatives: Samples) -> list[np.ndarray]:
        """Which of them each iteration learns from, and which it mines: (T, N), (T, M)."""
        kinds = (positives, self.config.pairs), (negatives, self.config.mined)
        iterations = learning.iterations
        return [in_turn(len(some.of), iterations * each, self.rng).reshape(iterations, -1) for some, each in kinds]

    def learn(self, learning: Learning, positives: Samples, negatives: Samples, turns: list[np.ndarray]) -> None:
        """So many iterations, on these samples."""
        descent = optimizer(self.head, self.config, learning.learning_rate)
        for some, others in zip(*turns, strict=True):
            self.iteration(descent, positives.pick(some), negatives.pick(others))

    def iteration(self, descent: torch.optim.Optimizer, positives: Samples, negatives: Samples) -> dict[str, Tensor]:
        """One: learn from positives, and from those negatives whose scores as targets are highest. The losses."""
        hardest = self.scores(negatives)[:, 1].topk(self.config.pairs).indices
        self.head.train()
        batch = joined([positives, negatives.pick(hardest)])
        values = losses(self.head(batch), self.config)
        descent.zero_grad()
        values["loss"].backward()
        nn.utils.clip_grad_norm_(self.head.parameters(), self.config.clip)
        descent.step()
        return values


def layers(widths: tuple[int, ...], weights: Mapping[str, Tensor]) -> nn.Sequential:
    """VGG-M up to conv3, frozen, of torch's own layers."""
    made: list[nn.Module] = []
    inputs = 3
    for i, outputs in enumerate(widths):
        conv = nn.Conv2d(inputs, outputs, (7, 5, 3)[i], (2, 2, 1)[i])
        conv.load_state_dict({part: weights[f"conv{i + 1}.{part}"] for part in ("weight", "bias")})
        made += [conv, nn.ReLU(inplace=True)]
        if i < 2:
            made += [nn.LocalResponseNorm(5, 5e-4, 0.75, 2.0), nn.MaxPool2d(3, 2)]  # torch divides alpha by 5
        inputs = outputs
    return nn.Sequential(*made).eval().requires_grad_(False)


def optimizer(head: Head, config: Config, rate: float) -> torch.optim.SGD:
    """Gradient descent with momentum; the last layer learns faster."""
    last = list(head.fc6.parameters())
    others = [p for name, p in head.named_parameters() if p.requires_grad and not name.startswith("fc6.")]
    groups: list[dict[str, Any]] = [{"params": others}, {"params": last, "lr": rate * config.last_rate}]
    return torch.optim.SGD(groups, rate, config.momentum, weight_decay=config.weight_decay)


def in_turn(number: int, count: int, rng: np.random.Generator) -> np.ndarray:
    """`count` of the numbers below `number`: all of them in random order, then all again."""
    rounds = -(-count // number)
    return np.concatenate([rng.permutation(number) for _ in range(rounds)])[:count]


def ridge(
    features: Tensor, boxes: np.ndarray, target: np.ndarray, strength: float
) -> Callable[[Tensor, np.ndarray], np.ndarray]:
    """R-CNN's box regression (Girshick et al. 2014, Appendix C): how (M, D), (M, 4) -> (M, 4) boxes are refined.

    Features are each scaled to a norm of 20, which there is their mean norm.
    """
    shifts = (centre(target) - centre(boxes)) / boxes[:, 2:]
    targets = torch.from_numpy(np.concatenate([shifts, np.log(target[2:] / boxes[:, 2:])], 1)).float()  # (N, 4)
    features = NORM * F.normalize(features)
    mean, offset = features.mean(0), targets.mean(0)
    centred = features - mean
    gram = centred @ centred.T + strength * torch.eye(len(centred))  # there are fewer samples than features
    weights = centred.T @ torch.linalg.solve(gram, targets - offset)  # (D, 4)

    def refine(features: Tensor, boxes: np.ndarray) -> np.ndarray:
        moved = ((NORM * F.normalize(features) - mean) @ weights + offset).double().numpy()
        centres = centre(boxes) + moved[:, :2] * boxes[:, 2:]
        sides = boxes[:, 2:] * np.exp(np.clip(moved[:, 2:], -1, 1))
        return np.concatenate([centres - sides / 2, sides], 1)

    return refine
