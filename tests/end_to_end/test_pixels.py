"""`--pixels fast`, through the real command."""

from pathlib import Path

import pytest
from conftest import annotate, rows

import florence_annotate
from florence_annotate.geometry.boxes import iou
from florence_annotate.shapes.scenes import paint

SCENES = [paint(6_000_100 + number) for number in range(12)]
TIMES = 4


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scenes as JPEGs that are many times as large as the embedded checkpoint sees them."""
    folder = tmp_path_factory.mktemp("photographs")
    for scene in SCENES:
        large = scene.image.resize((scene.image.width * TIMES, scene.image.height * TIMES))
        large.save(folder / f"{scene.seed}.jpg", quality=90)
    return folder


def found(out: Path) -> int:
    """How many of the painted objects have a box of their label where they lie."""
    images = {image.ref.key: image for image in florence_annotate.open_dataset(out)}
    hits = 0
    for scene in SCENES:
        image = images[f"{scene.seed}.jpg"]
        assert (image.width, image.height) == tuple(TIMES * side for side in scene.image.size)
        for item in scene.objects:
            box = tuple(TIMES * corner for corner in item.box)
            hits += any(
                one.label == item.shape and iou(one.box, box) > 0.5 for one in image.instances
            )
    return hits


def test_boxes_lie_where_they_lie_in_the_whole_image(photographs: Path, tmp_path: Path) -> None:
    for name in ("exact", "fast"):
        result = annotate(photographs, tmp_path / name, "--pixels", name, "--format", "jsonl")
        assert result.code == 0, result.err
    answers = [[row["instances"] for row in rows(tmp_path / name)] for name in ("exact", "fast")]
    assert answers[0] != answers[1]  # or nothing was faster
    exact, fast = (found(tmp_path / name) for name in ("exact", "fast"))
    assert exact > 0.7 * sum(len(scene.objects) for scene in SCENES)
    assert fast >= 0.9 * exact


def test_a_job_goes_on_with_the_pixels_that_it_was_begun_with(
    photographs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert annotate(photographs, out, "--pixels", "fast", "--limit", 4).code == 0
    refused = annotate(photographs, out, "--pixels", "exact")
    assert refused.code == 1
    assert 'pixels = "fast", and now it is "exact"' in refused.err
    resumed = annotate(photographs, out, "--limit", 8, "--json")
    assert (resumed.code, resumed.json["run"]["annotated"]) == (0, 4)
    assert resumed.json["fingerprint"]["pixels"] == resumed.json["settings"]["pixels"] == "fast"
