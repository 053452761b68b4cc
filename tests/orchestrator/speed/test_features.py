from dataclasses import replace

from orchestrator.speed import features
from trackers.backbones import yolo
from trackers.features import Features


def test_each_time_the_whole_cache_is_made(tmp_path, monkeypatch):
    """What is measured is the work: every sequence of the data set, whole, each time anew."""
    options = features.Project._options
    monkeypatch.setattr(
        features.Project, "_options", lambda self, workers: replace(options(self, workers), executor="local")
    )
    made = []

    def make(given, paths, names):
        outcome = features_made(given, paths, names)
        cache = Features(paths.features / names[0])
        made.append((len(outcome.prospect.todo), [len(cache[name]) for name in cache.names]))
        return outcome

    features_made = features.make_features
    monkeypatch.setattr(features, "make_features", make)
    network = yolo.Config("miniature", width=1 / 32, features=12, grid=3)
    project = features.Project(tmp_path, network, {"whole": (2, 3, 1), "start": (1,)})
    assert min(project.seconds("whole", workers) for workers in (1, 2)) > 0
    project.seconds("start", 1)
    assert [(jobs, sorted(lengths)) for jobs, lengths in made] == [(3, [1, 2, 3]), (3, [1, 2, 3]), (1, [1])]
