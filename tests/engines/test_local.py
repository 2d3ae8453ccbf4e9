"""One annotator on this machine, fed by the loader."""

from pathlib import Path

import pytest

from florence_annotate.engines.annotator import Annotator
from florence_annotate.engines.local import LocalEngine
from florence_annotate.images.loading import LoadingOptions
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import AskAll
from florence_annotate.types import Failure, Generation, ImageRef, Question, Record


@pytest.fixture
def refs(scenes: Path, tmp_path: Path) -> list[ImageRef]:
    """Three images, and between them a file that is none."""
    (tmp_path / "broken.jpg").write_bytes(b"not an image")
    first, *others = sorted(scenes.glob("*.jpg"))[:3]
    paths = [first, tmp_path / "broken.jpg", *others]
    return [ImageRef(path.name, bytes(path), path.stat().st_size, 0) for path in paths]


@pytest.mark.parametrize("workers", [0, 1])
def test_every_ref_comes_back_once_as_a_record_or_a_failure(
    model: Florence, refs: list[ImageRef], workers: int
) -> None:
    recipe = AskAll((Question("<OD>"),))
    annotator = Annotator(model, recipe, Generation(64, 1, 0, False), 2)
    engine = LocalEngine(annotator, LoadingOptions(model.image_size, 2, workers))
    outcomes = [outcome for some in engine.run(refs) for outcome in some]
    assert sorted(one.ref.key for one in outcomes) == sorted(ref.key for ref in refs)
    failed = [one for one in outcomes if isinstance(one, Failure)]
    assert [(one.ref.key, one.kind) for one in failed] == [("broken.jpg", "not-an-image")]
    for one in outcomes:
        if isinstance(one, Record):
            assert one.width > 0 and len(one.sha) == 64 and len(one.answers) == 1
    assert engine.seconds_waiting > 0


def test_no_refs_give_no_outcomes(model: Florence) -> None:
    annotator = Annotator(model, AskAll((Question("<OD>"),)), Generation(64, 1, 0, False), 2)
    assert list(LocalEngine(annotator, LoadingOptions(model.image_size, 2, 0)).run([])) == []
