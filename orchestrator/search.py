"""Ray Tune decides which candidates are tried, and how far; what they score, it is told by the driver.

Tune runs in a thread of the driver. A candidate of Tune's is an actor that takes no share of the cluster: it hands
(settings of each rung so far) to a broker and waits for the score, while the driver runs the jobs behind it. Besides
the cluster, this module alone imports ray.
"""

from __future__ import annotations

import asyncio
import os
import queue
import random
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

os.environ.setdefault("TUNE_DISABLE_AUTO_CALLBACK_LOGGERS", "1")  # the record is ours, and the store
os.environ.setdefault("TUNE_MAX_PENDING_TRIALS_PG", "1000")
os.environ.setdefault("RAY_AIR_NEW_OUTPUT", "0")
import orchestrator.cluster  # noqa: F401  # isort: skip  # it says how Ray is to run, before that is imported
import numpy as np
import ray
from ray import tune
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, PopulationBasedTraining, TrialScheduler
from ray.tune.search import BasicVariantGenerator, ConcurrencyLimiter

from orchestrator.search_journal import Member, Settings, population
from orchestrator.search_space import REDUCTION, Dimension

Algorithm = Literal["random", "grid", "optuna"]
Schedule = Literal["none", "asha", "pbt"]
AT_ONCE = 32  # candidates at most: each is a process of Tune's, of some 100 MB, beside the driver
MEMBER = "_member"  # where PBT's settings keep the number of a member
SCORE, LEVEL, RUNG = "score", "level", "rung"


@dataclass(frozen=True)
class Asked:
    """A candidate wants its score. by: Tune's name of it. member: its number, where PBT goes on with one."""

    by: str
    member: int | None
    lineage: list[Settings]


class Broker:
    """The actor between Tune's candidates and the driver."""

    def __init__(self) -> None:
        self._asked: list[tuple[str, int | None, list[Settings]]] = []
        self._answers: dict[str, asyncio.Future[Mapping[str, Any]]] = {}

    async def ask(self, by: str, member: int | None, lineage: list[Settings]) -> Mapping[str, Any]:
        """By a candidate; returns when the driver has answered."""
        answer = self._answers[by] = asyncio.get_running_loop().create_future()
        self._asked.append((by, member, lineage))
        return await answer

    async def asked(self) -> list[tuple[str, int | None, list[Settings]]]:
        """By the driver: what was asked since."""
        asked, self._asked = self._asked, []
        return asked

    async def answer(self, by: str, answer: Mapping[str, Any]) -> None:
        """By the driver."""
        self._answers.pop(by).set_result(answer)


class Candidate(tune.Trainable):
    """Tune's side of a candidate: each step is a rung, which the driver climbs."""

    def setup(self, config: dict[str, Any], broker: Any, lineages: Mapping[int, list[Settings]]) -> None:
        self._broker, self._lineages = broker, lineages
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        settings = dict(new_config)
        self._member = settings.pop(MEMBER, None)
        self._settings = settings
        self._lineage = list(self._lineages.get(self._member, ()))
        return True

    def step(self) -> dict[str, Any]:
        lineage = [*self._lineage, self._settings]
        answer = ray.get(self._broker.ask.remote(self.trial_id, self._member, lineage))
        if "error" in answer:
            raise RuntimeError(answer["error"])
        self._lineage = lineage
        return {SCORE: answer[SCORE], LEVEL: answer[LEVEL], RUNG: len(lineage), "done": answer["over"]}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any]:
        return {"lineage": self._lineage}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self._lineage = list(checkpoint["lineage"])  # another's, where PBT goes on from that one


class _Here:
    """What stays in this process: Tune pickles all that it is given, to restore it, which nobody will."""

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        return self


class _Ends(_Here, tune.Callback):
    def __init__(self, ended: queue.SimpleQueue[str]) -> None:
        self._ended = ended

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._ended.put(trial.trial_id)


class _Stop(_Here, tune.Stopper):
    def __init__(self) -> None:
        self.now = threading.Event()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        return False

    def stop_all(self) -> bool:
        return self.now.is_set()


@dataclass
class Tuning:
    """A search as Tune runs it, in a thread. Ray is up before it starts.

    space: what is searched. algorithm: how candidates are found. scheduler: which go how far. trials: how many.
    levels: the budget of each rung. mode: which end of the score is the good one. members: of the journal.
    """

    space: Mapping[str, Dimension]
    algorithm: Algorithm
    scheduler: Schedule
    trials: int
    levels: list[int]
    mode: Literal["max", "min"]
    seed: int
    members: list[Member]
    at_once: int = AT_ONCE
    error: BaseException | None = None
    _ended: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _stop: _Stop = field(default_factory=_Stop)

    def start(self) -> None:
        """Let Tune begin."""
        self._node = f"node:{ray.util.get_node_ip_address()}"
        self._broker = ray.remote(Broker).options(num_cpus=0, resources={self._node: 1e-4}).remote()
        self._thread = threading.Thread(target=self._run, name="tune", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether there may be more to hear."""
        return self._thread.is_alive()

    def asked(self) -> list[Asked]:
        """Who wants a score since this was last called."""
        return [Asked(*asked) for asked in ray.get(self._broker.asked.remote())]

    def ended(self) -> list[str]:
        """Names of candidates that Tune has ended since, for they were through or it stopped them."""
        found = []
        while not self._ended.empty():
            found.append(self._ended.get())
        return found

    def answer(self, by: str, rung: int, score: float, over: bool = False) -> None:
        """Its score on this rung, from 0. over: it goes no further, whatever Tune thinks of it."""
        over = over or rung + 1 == len(self.levels)
        self._broker.answer.remote(by, {SCORE: score, LEVEL: self.levels[rung], "over": over})

    def refuse(self, by: str, message: str) -> None:
        """It has failed."""
        self._broker.answer.remote(by, {"error": message})

    def stop(self) -> None:
        """Give it up."""
        self._stop.now.set()

    # In the thread.

    def _run(self) -> None:
        try:
            with tempfile.TemporaryDirectory(prefix="trackmeet-tune-", ignore_cleanup_errors=True) as folder:
                self._fit(folder)
        except BaseException as error:  # it is raised again by whoever waits for the search
            self.error = error

    def _fit(self, folder: str) -> None:
        pbt = self.scheduler == "pbt"
        searcher, samples = self._members() if pbt else self._searcher()
        if not samples:
            return
        lineages = {member.number: member.lineage for member in self.members} if pbt else {}
        trainable = tune.with_parameters(Candidate, broker=self._broker, lineages=lineages)
        tuner = tune.Tuner(
            tune.with_resources(trainable, {self._node: 1e-4}),
            param_space=None if self.algorithm == "optuna" else self._space(),
            tune_config=tune.TuneConfig(
                metric=SCORE,
                mode=self.mode,
                search_alg=searcher,
                scheduler=self._scheduler(),
                num_samples=samples,
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                storage_path=folder, verbose=0, callbacks=[_Ends(self._ended)], stop=self._stop, log_to_file=False
            ),
        )
        tuner.fit()

    def _space(self) -> dict[str, Any]:
        space = {name: _domain(dimension, self.algorithm == "grid") for name, dimension in self.space.items()}
        return {**space, MEMBER: tune.randint(0, 1 << 30)} if self.scheduler == "pbt" else space

    def _searcher(self) -> tuple[Any, int]:
        """What finds candidates, and how many it is asked for."""
        if self.algorithm != "optuna":
            generator = BasicVariantGenerator(max_concurrent=self.at_once, random_state=self.seed)
            return generator, 1 if self.algorithm == "grid" else self.trials
        try:
            from ray.tune.search.optuna import OptunaSearch

            ended = [member for member in self.members if member.ended is not None]
            searcher = OptunaSearch(
                OptunaSearch.convert_search_space(self._space()),
                metric=SCORE,
                mode=self.mode,
                points_to_evaluate=[dict(member.settings) for member in self.members if member.ended is None],
                seed=self.seed + len(ended),  # with the same seed it would begin with the same candidates again
            )
        except (ImportError, AssertionError) as error:
            raise ValueError("--search optuna takes the package optuna: pip install 'trackmeet[search]'") from error
        for member in ended:
            if member.rungs and member.ended == "FINISHED":
                searcher.add_evaluated_point(member.settings, member.rungs[-1].score)
        return ConcurrencyLimiter(searcher, max_concurrent=self.at_once), max(0, self.trials - len(ended))

    def _members(self) -> tuple[Any, int]:
        """PBT's members: those of the journal that have not ended go on with their last settings."""
        draws = random.Random(self.seed)
        drawn = [{name: d.draw(draws) for name, d in self.space.items()} for _ in range(self.trials)]
        points = [{**settings, MEMBER: number} for number, settings in population(self.members, drawn)]
        return BasicVariantGenerator(points_to_evaluate=points, max_concurrent=len(points)), len(points)

    def _scheduler(self) -> TrialScheduler:
        if self.scheduler == "asha":
            return AsyncHyperBandScheduler(
                time_attr=LEVEL, max_t=self.levels[-1], grace_period=self.levels[0], reduction_factor=REDUCTION
            )
        if self.scheduler == "pbt":
            climbed = sum(len(member.rungs) for member in self.members)
            random.seed(self.seed + climbed)  # it knows no seed of its own, and draws from these two
            np.random.seed(self.seed + climbed)  # noqa: NPY002
            return PopulationBasedTraining(
                time_attr=RUNG,
                perturbation_interval=1,
                hyperparam_mutations={name: _mutation(dimension) for name, dimension in self.space.items()},
                custom_explore_fn=partial(_clipped, self.space),
                synch=True,
                log_config=False,
            )
        return FIFOScheduler()


def _clipped(space: Mapping[str, Dimension], config: dict[str, Any]) -> dict[str, Any]:
    """Perturbed settings may leave the space."""
    return {name: space[name].clip(value) if name in space else value for name, value in config.items()}


def _domain(dimension: Dimension, grid: bool) -> Any:
    if dimension.finite:
        return tune.grid_search(list(dimension.values)) if grid else tune.choice(list(dimension.values))
    low, high = dimension.values
    if dimension.shape == "int":
        return tune.randint(low, high + 1)
    return {"uniform": tune.uniform, "loguniform": tune.loguniform}[dimension.shape](low, high)


def _mutation(dimension: Dimension) -> Any:
    return list(dimension.values) if dimension.finite else _domain(dimension, False)
