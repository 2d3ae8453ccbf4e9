"""The driver of Ray's actors: what comes back when actors and machines die."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import standins

ray = pytest.importorskip("ray")
pytestmark = pytest.mark.ray

from florence_annotate.engines.ray.engine import RayEngine  # noqa: E402
from florence_annotate.engines.ray.session import Session  # noqa: E402
from florence_annotate.errors import EngineError  # noqa: E402
from florence_annotate.types import Failure, ImageRef  # noqa: E402


def refs(*keys: str) -> list[ImageRef]:
    return [ImageRef(key, b"", 0, 0) for key in keys]


def numbered(count: int) -> list[ImageRef]:
    return refs(*(f"{index:04}" for index in range(count)))


class Team:
    """An engine of stand-ins, with what it told."""

    def __init__(self, actors: int, kind: Any = standins.StandIn, **how: Any) -> None:
        ray.cloudpickle.register_pickle_by_value(standins)
        self.notes: list[str] = []
        remote = ray.remote(kind)
        self.engine = RayEngine(
            lambda: remote.options(num_cpus=1).remote(**how),
            actors, self.notes.append, lambda: Path("the.log"),
        )  # fmt: skip

    def run(
        self, given: list[ImageRef], after: Callable[[int], None] = lambda count: None
    ) -> list[Any]:
        outcomes: list[Any] = []
        self.engine.wait_until_ready()
        for some in self.engine.run(given):
            outcomes += some
            after(len(outcomes))
        self.engine.dismiss()
        assert sorted(one.ref.key for one in outcomes) == sorted(ref.key for ref in given)
        return outcomes

    @property
    def pids(self) -> list[int]:
        return [int(note.split()[-1]) for note in self.notes if ": process " in note]

    @property
    def deaths(self) -> list[str]:
        return [note for note in self.notes if "an actor died" in note]


@pytest.mark.usefixtures("session", "machine")
def test_every_ref_comes_back_once_from_several_actors() -> None:
    team = Team(2, seconds=0.001)
    team.run(numbered(500))
    assert len(set(team.pids)) == 2 and not team.deaths
    assert team.engine.seconds_waiting == 0.25
    assert list(Team(1).run([])) == []


@pytest.mark.usefixtures("session", "machine")
def test_an_image_that_kills_its_process_becomes_a_failure_and_all_others_come_through() -> None:
    team = Team(2)
    given = numbered(300)
    given[70:70] = refs("kills one")
    given[200:200] = refs("kills two")
    failures = [one for one in team.run(given) if isinstance(one, Failure)]
    assert sorted((one.ref.key, one.stage, one.kind) for one in failures) == [
        ("kills one", "annotate", "crashed"), ("kills two", "annotate", "crashed")
    ]  # fmt: skip
    assert len(team.deaths) <= 12
    assert "its process ended" in team.deaths[0] and team.deaths[0].endswith("Ray's log: the.log")


@pytest.mark.usefixtures("session", "machine")
def test_an_actor_that_is_killed_from_outside_costs_no_image() -> None:
    team = Team(2, seconds=0.002)
    left = [150]

    def kill(count: int) -> None:
        if count > 100 and left:
            left.clear()
            os.kill(team.pids[0], 9)

    team.run(numbered(600), kill)
    assert len(team.deaths) == 1  # whether its successor comes in time for more does not matter


@pytest.mark.usefixtures("session")
def test_a_machine_that_is_lost_is_replaced_by_one_that_comes(cluster: Any) -> None:
    lost, came = cluster.add_node(num_cpus=1), []
    team = Team(1, seconds=0.005)

    def lose(count: int) -> None:
        if count > 60 and not came:
            cluster.remove_node(lost, allow_graceful=False)
            came.append(cluster.add_node(num_cpus=1))

    team.run(numbered(200), lose)
    assert len(team.deaths) == 1
    cluster.remove_node(came[0])


@pytest.mark.usefixtures("session", "machine")
def test_actors_that_never_get_ready_end_the_job_after_a_few() -> None:
    team = Team(1, standins.Stillborn)
    with pytest.raises(EngineError, match=r"3 actors in a row died before .* Ray's log: the\.log"):
        team.run(numbered(10))


@pytest.mark.usefixtures("session", "machine")
def test_a_machine_that_kills_whatever_it_is_given_ends_the_job(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("florence_annotate.engines.ray.engine._MOST_DEATHS", 5)
    with pytest.raises(EngineError, match=r"^5 actors in a row died of whatever they were given"):
        Team(1).run(refs(*(f"kills {index}" for index in range(20))))


@pytest.mark.usefixtures("session", "machine")
def test_a_mistake_in_an_actor_ends_the_job_in_one_line() -> None:
    with pytest.raises(EngineError, match=r"^on .* an actor failed \(ValueError: a mistake\)"):
        Team(1).run(refs("raises"))


def test_an_actor_without_room_waits_and_that_is_told(
    session: Session, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("florence_annotate.engines.ray.engine._TOLD_AFTER", 0.1)
    came: list[Any] = []
    team = Team(1)
    note = team.notes.append

    def add(text: str) -> None:
        note(text)
        if "no room" in text:
            came.append(cluster.add_node(num_cpus=1))

    monkeypatch.setattr(team.engine, "_note", add)
    team.run(numbered(3))
    assert [note for note in team.notes if "Ray has no room for an actor yet" in note]
    cluster.remove_node(came[0])
