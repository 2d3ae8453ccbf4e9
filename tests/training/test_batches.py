"""The images and questions of a step."""

import pytest
import torch

from training.batches import Pools, draw, paint_pools


@pytest.fixture(scope="module")
def pools(tmp_path_factory: pytest.TempPathFactory) -> Pools:
    return paint_pools(tmp_path_factory.mktemp("scenes"), easy=8, others=24, processes=1)


def test_a_batch_follows_from_seed_and_step(pools: Pools) -> None:
    first, again = (draw(pools, seed=3, step=7, size=4, maturity=0.5) for _ in range(2))
    other = draw(pools, seed=3, step=8, size=4, maturity=0.5)
    assert torch.equal(first.pixels, again.pixels) and first.truths == again.truths
    assert first.exchanges == again.exchanges != other.exchanges


def test_a_beginner_sees_one_object_at_most(pools: Pools) -> None:
    batches = [draw(pools, seed=0, step=step, size=4, maturity=0.0) for step in range(5)]
    assert max(len(truth.objects) for batch in batches for truth in batch.truths) == 1


def test_nobody_is_asked_for_words_that_are_mirrored(pools: Pools) -> None:
    batch = draw(pools, seed=0, step=0, size=60, maturity=1.0)
    assert {True, False} == set(batch.is_legible)
    asked = {row for row, exchange in batch.exchanges if "text" in exchange.prompt}
    assert asked and all(batch.is_legible[row] for row in asked)
