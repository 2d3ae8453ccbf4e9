"""What several tests share: painted images, the command, and its results."""

import contextlib
import io
import json
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest

from florence_annotate.cli import main
from florence_annotate.shapes.demo import write_demo

if TYPE_CHECKING:
    from florence_annotate.model.florence import Florence

# machines are shared: what takes long is no failure
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def command(*arguments: object) -> Result:
    """Run `florence-annotate` through its console script's own function, in this process."""
    out, err = io.StringIO(), io.StringIO()
    previous, sys.argv = sys.argv, ["florence-annotate", *map(str, arguments)]
    code = 0
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as exit_:
        code = exit_.code if isinstance(exit_.code, int) else 1
    finally:
        sys.argv = previous
    return Result(code, out.getvalue(), err.getvalue())


def annotate(source: object, out: object, *options: object) -> Result:
    """`run` with the embedded checkpoint, decoding in this process unless options say otherwise."""
    return command("run", source, "-o", out, "--model", "shapes", "--workers", 0, *options)


def rows(out: Path) -> list[dict[str, Any]]:
    """The lines of a dataset in the format jsonl."""
    return [json.loads(line) for line in (out / "annotations.jsonl").read_text().splitlines()]


def tree(folder: Path, *, without_scores: bool = False) -> dict[str, Any]:
    """All exported files by path: links by goal, the rest by bytes.

    The journal and the summary, which hold times, stay out; `without_scores` reads COCO files as
    JSON, their scores taken out.
    """
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_dir() or name.startswith(("job.", "summary.json", "policy.yaml")):
            continue
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif without_scores and name.startswith("annotations/"):
            content = json.loads(path.read_text())
            for annotation in content["annotations"]:
                del annotation["score"]
            found[name] = content
        else:
            found[name] = path.read_bytes()
    return found


def is_same_dataset(out: Path, expected: Path) -> None:
    """Assert that two datasets are the same, but for the last digits of their scores."""
    found, wanted = tree(out, without_scores=True), tree(expected, without_scores=True)
    assert found.keys() == wanted.keys()
    for name, content in wanted.items():
        assert found[name] == content, name
    assert scores(out) == pytest.approx(scores(expected), abs=0.001)
    assert not [path.name for path in out.iterdir() if path.name.startswith(".export")]


def edit(out: Path, before: str, after: str) -> None:
    """Edit a dataset's `policy.yaml`."""
    text = (out / "policy.yaml").read_text()
    assert before in text
    (out / "policy.yaml").write_text(text.replace(before, after))


def scores(folder: Path) -> list[float]:
    """Scores of all annotations, in the files' order."""
    files = sorted((folder / "annotations").glob("instances_*.json"))
    return [
        annotation["score"]
        for file in files
        for annotation in json.loads(file.read_text())["annotations"]
    ]


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty painted images with their ground truth. Not to be written to."""
    folder = tmp_path_factory.mktemp("scenes") / "scenes"
    write_demo(folder, count=20, seed=3_000_000)
    return folder


@pytest.fixture(scope="session")
def model() -> "Florence":
    """The embedded checkpoint, loaded, in float32 on the CPU. Not to be changed."""
    import torch

    from florence_annotate.checkpoints import checkpoint as checkpoints
    from florence_annotate.model import threads
    from florence_annotate.model.florence import Florence

    checkpoint = checkpoints.find("shapes")
    threads.settle("auto", checkpoint)
    return Florence(checkpoint, torch.device("cpu"), torch.float32, "sdpa")


@pytest.fixture(scope="session")
def dataset(scenes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset of `scenes`, with every label a class. Not to be written to."""
    out = tmp_path_factory.mktemp("dataset") / "dataset"
    result = annotate(scenes, out, "--visuals", "--images", "hardlink")
    assert result.code == 0, result.err
    return out


@pytest.fixture(autouse=True)
def no_test_hangs() -> Iterator[None]:
    """An image that hangs the job fails its test instead of the whole suite."""

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError("the test took more than ten minutes")

    previous = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(600)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)
