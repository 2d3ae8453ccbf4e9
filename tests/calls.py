"""How much work something is, as a count that is the same on every machine."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any


def calls_within(module: str, action: Callable[[], object]) -> int:
    """How many Python functions an action calls in files whose path holds this."""
    calls = 0

    def count(frame: FrameType, event: str, _: Any) -> None:
        nonlocal calls
        calls += event == "call" and module in frame.f_code.co_filename

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(before)
    return calls
