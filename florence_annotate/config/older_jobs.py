"""What a job has whose journal was begun before a setting, or a part of what binds it, existed.

A setting that is not named here has its default, as new jobs have. So there is a line for each
whose default is another one for new jobs, and for what has no default: no new default ever changes
an older job, neither what is asked nor what an export holds.
"""

from collections.abc import Mapping
from typing import Any

BEFORE_IT_EXISTED: Mapping[str, Any] = {
    "adapter": None,
    "constrain": "off",
    "drop_containers": False,
    "images": "hardlink",
    "label_rules": 1,
    "labels": [],
    "pixels": "exact",
    "synonyms": False,
}
