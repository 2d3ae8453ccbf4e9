"""Jobs that are exported in many formats. Not to be written to."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import annotate, command
from read_back import ALL
from written_answers import answer, picture, say

RING = (100, 100, 500, 100, 500, 500, 100, 500), (200, 200, 400, 200, 400, 400, 200, 400)
TRIANGLE = (600, 600, 900, 600, 750, 900)


@pytest.fixture
def datasets_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`datasets` keeps what it reads: here, and not in the user's home."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


@pytest.fixture(scope="session")
def exported(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`dataset` in YOLO and in every format but those of COCO."""
    out = tmp_path_factory.mktemp("exported") / "out"
    shutil.copytree(dataset, out, symlinks=True)
    done = command("export", out, "--format", f"yolo,{ALL}", "--no-visuals")
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="session")
def outlined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ring with its hole and a triangle in each of two images."""
    folder = tmp_path_factory.mktemp("outlined")
    for name in ("1.png", "2.png"):
        picture(folder / "in" / name, (200, 160))
    out = folder / "out"
    options = ("--task", "segmentation", "--text", "thing", "--split", "train=1")
    assert annotate(folder / "in", out, *options).code == 0
    ring = "<poly>", *RING[0], "<sep>", *RING[1], "</poly>"
    tokens = *ring, "<poly>", *TRIANGLE, "</poly>"
    task = "<REFERRING_EXPRESSION_SEGMENTATION>"
    said = answer(*tokens, task=task, logprobs=[-0.25] * len(tokens))
    say(out, replace(said, question=replace(said.question, text="thing")))
    done = command("export", out, "--format", "yolo-seg,coco,coco-results,jsonl")
    assert done.code == 0, done.err
    return out


@pytest.fixture(scope="session")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Printed text and where it stands, in every format but those of COCO and YOLO."""
    folder = tmp_path_factory.mktemp("printed")
    for name in ("1.png", "2.png"):
        picture(folder / "in" / name)
    out = folder / "out"
    options = ("--task", "ocr-regions", "--split", "train=1")
    assert annotate(folder / "in", out, *options).code == 0
    corners = (100, 200, 500, 250, 500, 450, 100, 400)
    say(out, answer("STOP & <go>", *corners, task="<OCR_WITH_REGION>"))
    done = command("export", out, "--format", ALL)
    assert done.code == 0, done.err
    return out
