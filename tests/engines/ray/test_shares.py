"""How many actors there are, and what each takes of its machine."""

import pytest

from florence_annotate.engines.ray.shares import Node, Shares, settle
from florence_annotate.errors import EngineError


def nodes(*sizes: tuple[float, float]) -> list[Node]:
    return [Node(str(index), f"n{index}", *size) for index, size in enumerate(sizes)]


@pytest.mark.parametrize(
    ("there", "actors", "cpus", "threads"),
    [
        (nodes((2, 0)), 2, 0.9, 1),
        (nodes((2, 0)), 8, 0.22, 1),
        (nodes((2, 0)), 1, 1.8, 2),
        (nodes((64, 0)), 4, 14.4, 15),
        (nodes((4, 0), (2, 0)), 3, 1.8, 2),
        (nodes((1, 0), (1, 0), (1, 0)), 1, 0.9, 1),  # one actor is never on two machines
        (nodes((8, 0), (0, 0)), 2, 3.6, 4),
    ],
)
def test_actors_on_cpus_share_the_cores_and_leave_some(
    there: list[Node], actors: int, cpus: float, threads: int
) -> None:
    shares = settle(there, None, actors)
    assert (shares.actors, shares.cpus, shares.gpus) == (actors, cpus, 0)
    assert shares.threads == threads
    assert sum(int(node.cpus * 0.9 / cpus + 1e-9) for node in there) >= actors


def test_an_actor_has_a_gpu_and_the_cores_that_belong_to_it() -> None:
    there = nodes((64, 8), (32, 4), (16, 0))
    assert settle(there, "all", None) == Shares(12, 7.2, 1)
    assert settle(there, 3, None) == Shares(3, 7.2, 1)
    assert [node.host for node in settle(there, "all", None).hosts(there)] == ["n0", "n1"]


def test_without_a_wish_it_is_all_gpus_or_an_actor_a_machine() -> None:
    assert settle(nodes((16, 2), (16, 0)), None, None) == Shares(2, 7.2, 1)
    assert settle(nodes((4, 0), (4, 0), (0, 0)), None, None) == Shares(2, 3.6, 0)
    assert settle(nodes((16, 2)), None, 2) == Shares(2, 7.2, 0)


@pytest.mark.parametrize(
    ("gpus", "there", "message"),
    [
        (4, nodes((8, 2)), "--gpus 4: Ray has 2 here .n0 with 8 cores and 2 GPUs.: give no more"),
        ("all", nodes((8, 0)), "--gpus all: Ray has 0 here .* or --actors N to run on CPUs"),
    ],
)
def test_more_gpus_than_there_are_is_refused(gpus: int, there: list[Node], message: str) -> None:
    with pytest.raises(EngineError, match=message):
        settle(there, gpus, None)


def test_more_actors_than_can_load_their_models_in_good_time_are_refused() -> None:
    assert settle(nodes((2, 0)), None, 16).actors == 16
    with pytest.raises(EngineError, match=r"--actors 100 are more than 8 .*: give 16 at most"):
        settle(nodes((2, 0)), None, 100)


def test_a_cluster_without_a_core_is_refused() -> None:
    with pytest.raises(EngineError, match="no core to run on"):
        settle(nodes((0, 0)), None, 1)
