"""Ray itself, as it is found."""

from pathlib import Path

import pytest
from conftest import command

pytest.importorskip("ray")
pytestmark = pytest.mark.ray


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--actors", 2), "worker._worker_logs_enabled"),
        (("--address", "auto"), "services.canonicalize_bootstrap_address_or_die"),
    ],
)
def test_a_part_that_a_later_ray_lacks_is_told_in_one_line(
    scenes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[object, ...],
    part: str,
) -> None:
    monkeypatch.delattr(f"ray._private.{part}")
    asked = ("-o", tmp_path / "out", "--model", "shapes", "--engine", "ray", *options)
    result = command("run", scenes, *asked)
    assert result.code == 1
    _, told = result.err.splitlines()
    assert f" lacks ray._private.{part}, which is needed here: pip install 'ray<2.6" in told
