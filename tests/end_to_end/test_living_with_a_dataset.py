"""The months of a dataset in a minute: the story of docs/living-with-a-dataset.md, with and without
commands that are killed."""

import random
import shutil
import time
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import children
import pytest
import yaml
from conftest import command, edit, tree
from read_back import numbered

from florence_annotate.shapes.demo import write_demo

OPTIONS = ("--workers", 0, "--no-canary", "--batch-size", 4)


@dataclass
class Story:
    """A folder in which it is told, and what there is at each point of it."""

    folder: Path
    warm: ForkServerContext
    kills: random.Random | None = None
    """Each command is killed now and then before it comes to its end; None: none is."""
    how_often: float = 0.0
    """The chance that a command is killed, once more each time that it was."""
    durations: list[float] = field(default_factory=list)
    """Seconds that each command took, when none was killed."""
    killed: int = 0
    numbers: list[dict[str, Any]] = field(default_factory=list)
    """Key → COCO's id, split and name of each image, after each command."""
    commands: int = 0

    def run(self, *arguments: object, out: str = "out") -> None:
        """Give a command until it ends well, and look at the dataset."""
        longest = self.durations[self.commands] if self.kills else None
        while self.kills and longest and self.kills.random() < self.how_often:
            child = children.start(self.warm, *arguments)
            child.join(timeout=self.kills.uniform(0.02, 1.1) * longest)
            if not child.is_alive():
                assert child.exitcode == 0, arguments
                continue
            child.kill()
            child.join()
            self.killed += 1
        begun = time.monotonic()
        child = children.start(self.warm, *arguments)
        child.join()
        assert child.exitcode == 0, arguments
        if self.kills is None:
            self.durations.append(time.monotonic() - begun)
        self.commands += 1
        self.numbers.append(numbered(self.folder / out))

    def tell(self) -> None:
        one, two, out = (self.folder / name for name in ("one", "two", "out"))
        write_demo(one, count=12, seed=3_300_000)
        options = ("--model", "shapes", *OPTIONS, "--format", "yolo,coco")
        self.run("run", one, "-o", out, *options)
        self.run("export", out, "--min-area", 300)
        edit(out, "min_area: 300.0", "min_area: 100 # small ones too")
        self.run("export", out)
        write_demo(self.folder / "more", count=20, seed=3_310_000)
        for path in (self.folder / "more").glob("*.jpg"):
            path.rename(one / path.name)
        write_demo(two, count=5, seed=3_320_000)
        self.run("run", one, two, "-o", out, *OPTIONS)
        two.rename(self.folder / "unmounted")
        two.mkdir()
        assert command("run", one, two, "-o", out).code == 1  # it would lose five images
        self.run("run", one, two, "-o", out, *OPTIONS, "--allow-missing")
        two.rmdir()
        (self.folder / "unmounted").rename(two)
        self.run("run", one, two, "-o", out, *OPTIONS)
        out.rename(self.folder / "moved")
        self.run("resume", self.folder / "moved", out="moved")
        self.run("export", self.folder / "moved", "-o", self.folder / "lent", out="lent")
        preset = self.folder / "preset.yaml"
        preset.write_text("min_area: 5000\nseed: 7\n")
        self.run("run", one, two, "-o", self.folder / "moved", "--config", preset, out="moved")


@pytest.fixture(scope="module")
def warm() -> ForkServerContext:
    return children.warm()


@pytest.fixture(scope="module")
def whole(warm: ForkServerContext, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story with no command killed."""
    story = Story(tmp_path_factory.mktemp("story"), warm)
    story.tell()
    return story


def test_nothing_is_lost_and_nothing_moves(whole: Story) -> None:
    counts = [len(numbers) for numbers in whole.numbers]
    assert counts == [12, 12, 12, 37, 32, 37, 37, 37, 37]
    first_seen: dict[str, Any] = {}
    for numbers in whole.numbers:
        for key, number in numbers.items():
            assert first_seen.setdefault(key, number) == number, key
    out = whole.folder / "moved"
    policy = yaml.safe_load((out / "policy.yaml").read_text())
    assert (policy["min_area"], policy["seed"]) == (100, 0)
    assert "# small ones too" in (out / "policy.yaml").read_text()
    names = yaml.safe_load((out / "data.yaml").read_text())["names"]
    assert policy["class_ids"] == names
    assert not (out / "orphans").exists()
    images = {path.name for path in (out / "images").rglob("*.jpg")}
    assert images == {Path(name).name for _, _, name in whole.numbers[-1].values()}


@pytest.mark.parametrize(
    ("wanted", "how_often"), [(4, 0.4), pytest.param(50, 0.85, marks=pytest.mark.slow)]
)
def test_commands_that_are_killed_change_nothing_in_the_end(
    whole: Story, warm: ForkServerContext, tmp_path: Path, wanted: int, how_often: float
) -> None:
    moments = random.Random(wanted)
    print(f"seed {wanted}")  # shown where it fails
    killed = told = 0
    while killed < wanted:
        told += 1
        folder = tmp_path / str(told)
        folder.mkdir()
        story = Story(folder, warm, moments, how_often, whole.durations)
        story.tell()
        killed += story.killed
        assert story.numbers[-1] == whole.numbers[-1]
        for name in ("moved", "lent"):
            assert same(folder / name) == same(whole.folder / name)
        shutil.rmtree(folder)


def same(out: Path) -> dict[str, Any]:
    """What two tellings of the story have in common, all but scores' last digits and names."""
    return tree(out, without_scores=True)
