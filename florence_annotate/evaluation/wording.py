"""What is evaluated in a sentence; and names from files of others: on one line, and not all of
thousands."""

from collections.abc import Iterable

from florence_annotate.evaluation.result import Evaluation

_SHOWN = 5


def plain(name: str) -> str:
    """A name in printable characters: what a terminal would obey is spelled out."""
    return name if name.isprintable() else ascii(name)


def listed(names: Iterable[str]) -> str:
    """The first of some names, and how many there are more; empty where there is none."""
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(map(plain, known[:_SHOWN])) + more


def compared(found: Evaluation) -> str:
    """How much of what was compared: `1 image, 2 true boxes, 3 found`."""
    policy = found.overall.at_policy
    what = ("true box", "true boxes") if found.iou == "bbox" else ("true mask", "true masks")
    images, objects = _counted(found.images, "image", "images"), _counted(policy.objects, *what)
    return f"{images}, {objects}, {policy.boxes:,} found"


def _counted(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
