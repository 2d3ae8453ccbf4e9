"""What is asked of a dataset that is written, by a run or an export alone, and how that ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """What a command decides for itself alone, beside the settings of the job."""

    overwrite: bool = False
    """Corrections may be lost."""
    renumber: bool = False
    """Classes may get other ids."""
    allow_missing: bool = False
    """Images of a folder that failed may leave the dataset."""
    add_formats: Sequence[str] = ()
    """Further formats, from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What became of it."""

    summary: dict[str, Any]
    """What `summary.json` says, but for its long lists; see `reports.summary`."""
    unwritten: bool
    """Files of the dataset could not be written; the summary names them."""

    @property
    def missed_gates(self) -> list[str]:
        """A line for each gate that is missed."""
        lines: list[str] = self.summary["missed_gates"]
        return lines
