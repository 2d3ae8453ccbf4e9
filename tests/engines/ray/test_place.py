"""A cluster as a place: what is asked of its machines before anything is annotated."""

import socket
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from conftest import annotate, is_same_dataset

from florence_annotate.images.resizing import model_pixels as codec_pixels

pytest.importorskip("ray")
pytestmark = pytest.mark.ray


def run(source: Path, out: Path, cluster: Any, *options: object) -> Any:
    joins = ("--engine", "ray", "--actors", 2, "--address", cluster.address)
    return annotate(source, out, *joins, *options)


@pytest.mark.usefixtures("machine")
def test_a_cluster_writes_the_masks_of_one_device_and_is_left_as_it_was(
    scenes: Path, tmp_path: Path, cluster: Any
) -> None:
    asked = ("--recipe", "instance-segmentation", "--format", "coco,yolo-seg")
    assert annotate(scenes, tmp_path / "local", *asked).code == 0
    result = run(scenes, tmp_path / "out", cluster, *asked)
    assert result.code == 0, result.err
    assert "1 machine sees the sources and the checkpoint" in result.err
    assert f"{socket.gethostname()}: loading shapes on cpu in float32" in result.err
    is_same_dataset(tmp_path / "out", tmp_path / "local")
    assert len(cluster.list_all_nodes()) == 2


def _darker(image: Any, side: int, *more: Any, **how: Any) -> Any:
    return codec_pixels(image, side, *more, **how) // 2


@pytest.mark.usefixtures("machine")
def test_what_a_machine_lacks_is_told_before_anything_is_written(
    scenes: Path, tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = tmp_path / "mount"
    with monkeypatch.context() as patched:
        # as if they were there, but not on the other machine
        seen = [scenes, empty, tmp_path / "elsewhere.jpg"]
        empty.mkdir()
        patched.setattr("florence_annotate.images.sources.Sources.landmarks", seen)
        patched.setattr(
            "florence_annotate.checkpoints.checkpoint.Checkpoint.weights_hash", lambda self: "other"
        )
        # as if this machine's decoder rounded otherwise
        patched.setattr("florence_annotate.images.resizing.model_pixels", _darker)
        result = run(scenes, tmp_path / "out", cluster, "--no-canary", "--pixels", "fast")
    assert result.code == 1
    told = result.err.splitlines()[-1]
    host = socket.gethostname()
    assert told.startswith("error: not all machines of the cluster can take part: ")
    assert f"on {host} nothing is seen of {empty}: mount it there under the same path" in told
    assert f"on {host} nothing is seen of {tmp_path}/elsewhere.jpg" in told
    assert f"on {host} shapes in " in told and "has other files (weights" in told
    assert f"on {host} a JPEG has other pixels (Pillow {version('pillow')}, torch" in told
    assert f"of {scenes}" not in told
    with monkeypatch.context() as patched:
        patched.setattr("florence_annotate.engines.ray.preflight.__version__", "99.0")
        result = run(scenes, tmp_path / "out", cluster)
    assert "and the machine of the command 99.0: install the same" in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("machine")
def test_a_number_format_that_is_not_given_is_the_one_of_the_machines(
    scenes: Path, tmp_path: Path, cluster: Any
) -> None:
    from florence_annotate.config import job_spec
    from florence_annotate.engines import places
    from florence_annotate.model.device import resolve_device, resolve_dtype

    spec = job_spec.build({"engine": "ray", "actors": 1, "address": cluster.address})
    place = places.find(spec)
    assert place.name == f"ray --address {cluster.address} --actors 1"
    here = resolve_dtype("auto", resolve_device("cpu"), is_embedded=False)
    assert f"torch.{place.resolve_dtype(is_embedded=False)}" == str(here)
    place.close()
