"""An image with its kept boxes drawn in as in the visuals, and what was dropped in dashes, each
with its reason."""

import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

from florence_annotate.errors import OutputError, UsageError
from florence_annotate.formats.entries import Notes
from florence_annotate.formats.originals import Originals
from florence_annotate.formats.replacing import Replacing
from florence_annotate.images import codec
from florence_annotate.journal import Journal
from florence_annotate.reports.explanation import Explanation
from florence_annotate.types import Box

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_DASH = 8
"""Pixels of a dash, and of the gap behind it."""
_LONGEST_LABEL = 40
"""Characters; some are whole descriptions."""
_COLOURS = ("black", "white")
"""Of dashes and gaps: seen on any ground."""


def write_picture(journal: Journal, out: Path, explanation: Explanation, file: Path) -> None:
    """Draw an image that was explained, into a new file.

    A file that is there is never written over: it may be an original, or a link to one. Raises
    UsageError for such a file, for another kind of file, and for an image that was never annotated,
    or whose file is gone or another one by now; OutputError.
    """
    if file.suffix.lower() not in _SUFFIXES:
        raise UsageError(f"--picture {file}: name it with one of {', '.join(_SUFFIXES)}")
    if os.path.lexists(file):
        raise UsageError(f"--picture {file}: there is such a file: choose another name")
    image = explanation.image
    if image is None:
        raise UsageError(f"--picture: {explanation.ref.key} is {explanation.state}, not annotated")
    notes = Notes()
    found = Originals([Replacing(out, journal)], notes, are_needed=True).find(image)
    if found is None:
        raise UsageError(f"--picture: {image.ref.key}: {notes.left_out[image.ref.key]}")
    try:
        data = codec.read_bytes(os.fsencode(found[0]))
        drawing = codec.decode(data, image.width * image.height)
    except codec.UnreadableImageError as error:
        raise UsageError(f"--picture: {image.ref.key}: {error}") from error
    content = codec.encode(_draw(drawing, explanation), file.suffix)
    try:
        with file.open("xb") as written:
            try:
                written.write(content)
                written.flush()
            except OSError:
                file.unlink()  # half a picture would be in the way of the next try
                raise
    except OSError as error:
        raise OutputError.at(file, error) from error


def _draw(pixels: Any, explanation: Explanation) -> Any:
    from PIL import ImageDraw, ImageFont

    from florence_annotate.formats import visuals

    image = explanation.image
    assert image is not None
    drawing = visuals.draw(pixels, image)
    factor = drawing.width / image.width  # small images are drawn larger
    pen, font = ImageDraw.Draw(drawing), ImageFont.load_default(12)
    for fate in explanation.dropped:
        if fate.box is None or fate.dropped is None:
            continue
        left, top, right, bottom = (edge * factor for edge in fate.box)
        for line, colour in _dashes((left, top, right, bottom)):
            pen.line(line, fill=colour, width=2)
        label = " ".join(fate.label[:_LONGEST_LABEL].split())
        text = f"{label} {fate.score:.2f}: {fate.dropped.reason}"
        at = _within(drawing.size, pen.textbbox((0, 0), text, font), left + 2, bottom + 2)
        pen.rectangle(pen.textbbox(at, text, font), fill=_COLOURS[1])
        pen.text(at, text, _COLOURS[0], font)
    return drawing


def _within(size: tuple[int, int], text: Box, x: float, y: float) -> tuple[float, float]:
    """Where a text goes that is meant for a point, so that none of it is cut if it fits."""
    return max(0.0, min(x, size[0] - text[2])), max(0.0, min(y, size[1] - text[3]))


def _dashes(box: Box) -> Iterator[tuple[Box, str]]:
    """The outline of a box in lines of two colours, by turns."""
    left, top, right, bottom = box
    corners = ((left, top), (right, top), (right, bottom), (left, bottom), (left, top))
    for (x1, y1), (x2, y2) in pairwise(corners):
        length = abs(x2 - x1) + abs(y2 - y1)
        count = max(1, round(length / _DASH))
        for index in range(count):
            start, end = index / count, (index + 1) / count
            ends = (x1 + (x2 - x1) * start, y1 + (y2 - y1) * start)
            line = (*ends, x1 + (x2 - x1) * end, y1 + (y2 - y1) * end)
            yield line, _COLOURS[index % 2]
