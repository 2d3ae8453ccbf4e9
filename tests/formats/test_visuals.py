"""Images with what was found drawn in."""

from pathlib import Path

import numpy as np
from PIL import Image
from read_back import annotated_images, objects_of


def test_visuals_are_images_of_the_same_size_with_boxes_in_them(
    dataset: Path, scenes: Path
) -> None:
    drawn = list((dataset / "visuals").rglob("*.jpg"))
    assert len(drawn) == 20
    expected = {key: objects_of(image) for key, image in annotated_images(dataset).items()}
    for path in drawn:
        with Image.open(path) as visual, Image.open(scenes / path.name) as original:
            assert visual.size == original.size
            difference = np.abs(
                np.asarray(visual, dtype=int) - np.asarray(original.convert("RGB"), dtype=int)
            )
        assert (difference.max() > 60) == bool(expected[path.name])
