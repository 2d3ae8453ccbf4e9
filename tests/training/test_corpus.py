"""Scenes that are painted beforehand."""

from pathlib import Path

import pytest

from florence_annotate.errors import FlorenceAnnotateError
from florence_annotate.shapes.scenes import paint
from training import corpus
from training.truth import truth_of


def test_pixels_and_boxes_are_those_of_the_scene(tmp_path: Path) -> None:
    kept = corpus.prepare(tmp_path, first_seed=40, count=3, processes=1)
    for row, seed in enumerate(range(40, 43)):
        scene = paint(seed)
        assert (kept.pixels[row] == corpus.squash(scene.image)).all()
        assert kept.truth(row) == truth_of(scene)


def test_a_second_call_paints_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = corpus.prepare(tmp_path, first_seed=0, count=2, processes=1)
    monkeypatch.setattr(corpus, "paint", None)
    second = corpus.prepare(tmp_path, first_seed=0, count=2, processes=1)
    assert (first.pixels == second.pixels).all()


@pytest.mark.parametrize(
    ("first_seed", "count"), [(1_000_000, 1), (999_999, 2), (2_000_000, 10), (-1, 5)]
)
def test_held_out_seeds_are_refused(tmp_path: Path, first_seed: int, count: int) -> None:
    with pytest.raises(FlorenceAnnotateError, match="not for training"):
        corpus.prepare(tmp_path, first_seed=first_seed, count=count)
    assert not list(tmp_path.iterdir())
