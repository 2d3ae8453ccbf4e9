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
    "resample": 3,  # bicubic, as Pillow counts its filters
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
        if not isinstance(settings, Mapping | None):
            raise CheckpointError(
                f"{name}: image_processor in its {file} is {settings!r}, and no JSON object: copy "
                "the file from the checkpoint that this one was made from"
            )
    if settings is None:
        return PUBLISHED
    size = settings.get("size")
    # some versions of transformers write one number for a square
    sides = [size, size] if type(size) is int else _values(size, ("height", "width"))
    mean, std = _triple(settings.get("image_mean")), _triple(settings.get("image_std"))
    if std and min(std) == 0:
        std = None  # nothing can be divided by it
    for key, value in (("size", sides), ("image_mean", mean), ("image_std", std)):
        if value is None:
            raise CheckpointError(
                f"{name}: {key} in its {file} is {settings.get(key)!r}, and Florence-2 takes a "
                "square RGB image with colours in [0, 1]: copy the file from the checkpoint that "
                "this one was made from"
            )
    assert sides and mean and std
    if sides[0] != sides[1] or sides[0] < 1:
        raise CheckpointError(
            f"{name}: its {file} makes images of {sides[1]}x{sides[0]} pixels, and Florence-2 "
            "takes a square"
        )
    for key, wanted in _FIXED.items():
        value = settings.get(key)
        is_number = isinstance(value, int | float)
        if value is not None and not (is_number and wanted - 1e-6 < value < wanted + 1e-6):
            raise CheckpointError(
                f"{name}: its {file} says {key} = {value}, and images are made for Florence-2 with "
                f"{key} = {wanted} alone: answers would be wrong without a sign"
            )
    return ImageSettings(sides[0], mean, std)


def _values(value: Any, keys: tuple[str, ...]) -> list[int] | None:
    """The whole numbers that a mapping has under these keys; None where it has others."""
    if not isinstance(value, Mapping):
        return None
    found = [each for each in map(value.get, keys) if type(each) is int]
    return found if len(found) == len(keys) else None


def _triple(value: Any) -> Triple | None:
    """Three numbers in [0, 1], as colours are; None for anything else."""
    is_triple = isinstance(value, list) and len(value) == 3
    if not is_triple or not all(type(each) in (int, float) for each in value):
        return None
    if not all(0 <= each <= 1 for each in value):  # nor is NaN
        return None
    red, green, blue = map(float, value)
    return red, green, blue
