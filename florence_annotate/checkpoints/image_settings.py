"""How a checkpoint wants its images: the size, and how their colours are normalised."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from florence_annotate.checkpoints.files import load_json
from florence_annotate.errors import CheckpointError

Triple = tuple[float, float, float]
"""A value each for red, green and blue, of colours in [0, 1]."""


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """The square that images are squashed to, and the normalisation of its colours."""

    size: int
    """Side of the square, in pixels."""
    mean: Triple
    std: Triple


PUBLISHED = ImageSettings(768, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Those of all four checkpoints that Microsoft published."""

_FIXED: Mapping[str, float] = {
    "do_resize": True,
    "do_rescale": True,
    "do_normalize": True,
    "do_center_crop": False,
    "do_pad": False,
    "rescale_factor": 1 / 255,
}
"""What is done to every image here and can't be done otherwise; also where a key is missing."""


def read_image_settings(folder: Path, name: str) -> ImageSettings:
    """Those of a checkpoint in a folder; where it has no file for them, those published.

    Raises CheckpointError for a file that can't be read, and for images that are not made as
    Florence-2's are.
    """
    settings: Mapping[str, Any] | None = None
    file = "preprocessor_config.json"
    if (folder / file).exists():
        settings = load_json(folder / file, name)
    elif (folder / "processor_config.json").exists():
        file = "processor_config.json"
        settings = load_json(folder / file, name).get("image_processor")
    if settings is None:
        return PUBLISHED
    try:
        size = settings["size"]
        # some versions of transformers write one number for a square
        height, width = (size, size) if isinstance(size, int) else (size["height"], size["width"])
        mean, std = tuple(settings["image_mean"]), tuple(settings["image_std"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"{name}: its preprocessor configuration lacks {error}: copy it from the checkpoint "
            "that this one was made from"
        ) from error
    if height != width or len(mean) != 3 or len(std) != 3:
        raise CheckpointError(f"{name}: its input is no square RGB image ({width}x{height})")
    for key, wanted in _FIXED.items():
        value = settings.get(key)
        if value is not None and abs(value - wanted) > 1e-6:
            raise CheckpointError(
                f"{name}: its {file} says {key} = {value}, and images are made for Florence-2 with "
                f"{key} = {wanted} alone: answers would be wrong without a sign"
            )
    return ImageSettings(int(height), mean, std)
