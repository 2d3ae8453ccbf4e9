"""What a job has whose journal was begun before a setting, or a part of what binds it, existed.

A line for each setting that binds, and for each whose default shapes an export and is another one
for new jobs. So no new default changes an older job.
"""

from collections.abc import Mapping
from typing import Any

BEFORE_IT_EXISTED: Mapping[str, Any] = {
    "adapter": None,
    "constrain": "off",
    "labels": [],
}
