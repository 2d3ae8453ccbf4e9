"""The embedded world: painted scenes, their ground truth, and a small Florence-2 that reads them.

A picture of coloured shapes has a ground truth that is exact by construction, so the whole
program can be tried, tested and measured without a download and without an accelerator:

* :mod:`.scenes` paints a scene from a seed;
* :mod:`.demo` writes a folder of scenes with a COCO ground truth;
* :mod:`.score` holds a finished dataset against such a ground truth (AP by pycocotools);
* :mod:`.train` is the command that made the checkpoint in :data:`CHECKPOINT`, with its parts
  :mod:`.corpus` (scenes kept at the model's input size), :mod:`.truth` (what is true about them, in
  location bins), :mod:`.exchanges` and :mod:`.captions` (questions and answers), :mod:`.lessons`
  (which of them are asked), :mod:`.tokenizer`, :mod:`.initialisation`, :mod:`.growth`,
  :mod:`.cells` and :mod:`.validation`.

Importing this package loads neither torch, nor transformers, nor Pillow.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

CHECKPOINT: Final[Path] = Path(__file__).parent / "checkpoint"
"""The folder of the trained checkpoint, in the native layout of transformers."""

INPUT_SIZE: Final[int] = 96
"""Side of the square that the model sees, in pixels."""

SHAPES: Final[tuple[str, ...]] = ("ellipse", "rectangle", "triangle", "star", "cross")
"""The categories. Each name stays true when the object is stretched, unlike "circle", "square"."""

COLOURS: Final[tuple[str, ...]] = (
    "red",
    "yellow",
    "green",
    "cyan",
    "blue",
    "pink",
    "black",
    "white",
)
"""The colour names of the objects."""

MAX_OBJECTS: Final[int] = 8
"""The most objects in one scene."""

FIRST_HELD_OUT_SEED: Final[int] = 1_000_000
"""No seed from this one on is ever trained on: demos and measurements start above it."""

__all__ = [
    "CHECKPOINT",
    "COLOURS",
    "FIRST_HELD_OUT_SEED",
    "INPUT_SIZE",
    "MAX_OBJECTS",
    "SHAPES",
]
