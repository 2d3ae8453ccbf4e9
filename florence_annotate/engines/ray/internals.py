"""What is used of Ray that it does not promise to keep, where nothing public does the same."""

import importlib
from typing import Any

import ray

from florence_annotate.errors import EngineError

_TRIED = "ray<2.61"
"""Up to its newest version that was tried."""


def part(module: str, name: str) -> Any:
    """A part of a module of `ray._private`. Raises EngineError where this Ray lacks it."""
    try:
        return getattr(importlib.import_module(f"ray._private.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise EngineError(
            f"Ray {ray.__version__} lacks ray._private.{module}.{name}, which is needed here: pip "
            f"install '{_TRIED}', or run with --engine local"
        ) from error
