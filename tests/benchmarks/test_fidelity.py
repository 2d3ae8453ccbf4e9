"""The comparison with transformers that is the first thing to run on a new checkpoint."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from small_models import write_original

from benchmarks import fidelity
from florence_annotate.model.florence import Florence


def compare(
    model: object, cache: Path, capsys: pytest.CaptureFixture[str], tokens: int = 128
) -> tuple[int, str]:
    options = [str(model), "--cache", str(cache), "--limit", "1", "--tokens", str(tokens)]
    images = cache / "images"
    fidelity.paint_files(images, 1)
    code = fidelity.main([*options, "--images", str(images)])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("layout", ["native", "original"])
def test_the_embedded_checkpoint_agrees_in_every_task(
    layout: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = "shapes" if layout == "native" else write_original(tmp_path / "original")
    code, out = compare(model, tmp_path, capsys)
    assert code == 0
    assert f"layout {layout}" in out
    assert out.count("| 1 | 1 | 1 | 0 | 1 |  |") == 15
    assert "pixels: 0.00% differ" in out


def test_other_tokens_end_with_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    encode = Florence.encode_pixels

    def turn(self: Florence, pixels: torch.Tensor) -> torch.Tensor:
        return encode(self, pixels.flip(3))

    monkeypatch.setattr(Florence, "encode_pixels", turn)
    code, out = compare("shapes", tmp_path, capsys, tokens=16)
    assert code == 1
    assert "the tokens differ, in float64 too" in out


def test_a_mistake_gets_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "benchmarks.fidelity", str(tmp_path)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("error: ") and len(ended.stderr.splitlines()) == 1
