from __future__ import annotations

import shutil

from orchestrator.conduct import conduct
from orchestrator.facts import gather


def test_finished_jobs_are_known_with_their_time(project) -> None:
    """After a run every job is known once, with the trackers that need it; without the store, that it is not there."""
    conduct(project.options(), project.paths)
    facts = gather(project.paths, project.root / "params.yaml")
    assert (facts.lacking, facts.problem, facts.profile) == (0, "", "toy")
    assert {job.kind for job in facts.done} == {"train", "track", "score"}
    assert {user for job in facts.done for user in job.users} == {
        ("toy", "Mover"), ("toy", "Slow mover"), ("toy", "Identity"),
    }  # fmt: skip
    assert all(0 < job.worked <= job.seconds + 0.01 for job in facts.done)
    assert [host.name for host in facts.hosts] == [facts.done[0].host]
    assert set(facts.contents) == {"train", "test"}
    shutil.rmtree(project.paths.store)
    facts = gather(project.paths, project.root / "params.yaml")
    assert (facts.done, facts.problem) == ((), "the store, build/store, has none of their jobs")


def test_unreadable_parameters_are_a_fact(project) -> None:
    """Where params.yaml is not there, that is what is known, and no error."""
    (project.root / "params.yaml").unlink()
    facts = gather(project.paths, project.root / "params.yaml")
    assert (facts.trials, facts.done, facts.parameters) == ({}, (), "")
    assert "params.yaml" in facts.problem
    assert facts.versions["Python"]
