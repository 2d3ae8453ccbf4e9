"""Turn folders of images into YOLO and COCO datasets with Microsoft's Florence-2.

The command is `florence-annotate`. From Python, `annotate` yields annotated images and
`open_dataset` reads a job of the command, finished or not.
"""

from typing import TYPE_CHECKING, Any

from florence_annotate.version import __version__

if TYPE_CHECKING:
    from florence_annotate.api import annotate, open_dataset

__all__ = ["__version__", "annotate", "open_dataset"]


def __getattr__(name: str) -> Any:
    """Load the API, and torch with it, when it is first asked for: `--help` must not wait."""
    if name in ("annotate", "open_dataset"):
        from florence_annotate import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
