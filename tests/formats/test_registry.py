"""Which formats a job can have."""

import shutil
from pathlib import Path

import pytest
from conftest import command, tree

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.errors import UsageError
from florence_annotate.formats import registry
from florence_annotate.tasks import CAPTION
from florence_annotate.types import Question


@pytest.mark.parametrize(
    ("formats", "advice"),
    [
        ("txt,yolo,coco", "--format yolo, coco would hold .* are captions; leave yolo, coco out$"),
        ("yolo", "--format yolo would hold .* are captions; choose coco-captions$"),
    ],
)
def test_what_would_hold_nothing_is_named_alone(formats: str, advice: str) -> None:
    with pytest.raises(UsageError, match=advice):
        registry.settle(JobSpec(formats=formats), [Question(CAPTION)])


@pytest.mark.parametrize("name", ["imagefolder", "labelme", "label-studio"])
def test_what_lies_beside_images_is_refused_without_them(
    exported: Path, tmp_path: Path, name: str
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    refused = command("export", out, "--format", name, "--images", "none")
    assert refused.code == 2
    assert f"--format {name}" in refused.err
    assert tree(out) == tree(exported)


def test_parquet_without_pyarrow_says_what_to_install(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    refused = command("export", out, "--format", "parquet")
    assert refused.code == 2
    assert "pip install pyarrow" in " ".join(refused.err.split())
