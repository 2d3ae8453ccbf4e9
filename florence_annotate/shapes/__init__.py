"""The embedded world: painted scenes, their ground truth, and a small Florence-2 trained on them.

What is true about a painted image is known exactly, so the whole program can be tried, tested and
measured without a download and without an accelerator. `scenes` paints an image from a seed, `demo`
writes a folder of them with a COCO ground truth, and the checkpoint was made by `training`, a
package of the repository that is not installed.

Importing this package loads neither torch, nor transformers, nor Pillow.
"""

from pathlib import Path

CHECKPOINT = Path(__file__).parent / "checkpoint"
"""The folder of the trained checkpoint, in the layout of transformers."""

INPUT_SIZE = 96
"""Side of the square that the model sees, in pixels."""

SHAPES = ("ellipse", "rectangle", "triangle", "star", "cross")
"""The categories. Each name stays true when the object is stretched, unlike "circle", "square"."""

COLOURS = ("red", "yellow", "green", "cyan", "blue", "pink", "black", "white")
"""The colour names of the objects."""

MAX_OBJECTS = 8
"""The most objects in one scene."""

FIRST_HELD_OUT_SEED = 1_000_000
"""No scene with this seed or a greater one is trained on: those are for demos and measurements."""
