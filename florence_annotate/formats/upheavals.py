"""Changes that would move what was settled: other ids of classes, another split, another YOLO.

They are refused before anything is done: ids where nobody said that they may change, and all of
them where a person's corrections would be left with a meaning that they were not given.
"""

import os
from collections.abc import Sequence
from pathlib import Path

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.splits import SplitRule
from florence_annotate.errors import UsageError
from florence_annotate.formats.holding import LABELS
from florence_annotate.formats.registry import FORMATS
from florence_annotate.formats.replacing import is_as_known
from florence_annotate.journal import Journal

WRITTEN = "formats_written"
"""In the policy of an export: its formats, also where nobody chose them."""
_SHOWN = 12
"""Classes that a message names."""


def refuse_upheaval(
    journal: Journal,
    out: Path,
    spec: JobSpec,
    formats: Sequence[str],
    *,
    renumber: bool,
    overwrite: bool,
) -> None:
    """Raise UsageError for settings that would renumber classes, unless they may, and for those
    that would change what label files mean where a person changed one, unless it may be lost."""
    policy = journal.exports.policy()
    if policy is None:
        return
    changes = []
    if gets_other_ids(journal, spec):
        # labels that became classes by themselves have no order that anybody chose
        if policy["classes"] is not None and not renumber:
            before, now = journal.exports.class_names(), _names(spec)
            raise UsageError(
                f"this class list would give classes other ids: they were {_order(before)}, and "
                f"would be {_order(now)}. Keep the order and put new classes behind, or give "
                "--renumber"
            )
        changes.append("other ids of classes")
    if SplitRule.of(spec, journal).is_other_than(policy):
        changes.append("another split")
    kinds = [[n for n in names if FORMATS[n].is_yolo] for names in (policy[WRITTEN], formats)]
    if all(kinds) and kinds[0] != kinds[1]:
        changes.append("another kind of YOLO")
    if changes and not overwrite and (held := _changed_label(journal, out)):
        raise UsageError(
            f"{' and '.join(changes)}: {held} was changed since it was written, and would mean "
            "something else: move it away first, or give --overwrite to lose what was changed"
        )


def gets_other_ids(journal: Journal, spec: JobSpec) -> bool:
    """Whether a class would have another id than in the export before."""
    if spec.classes is None:
        return False  # labels that are new come behind
    before, now = journal.exports.class_names(), _names(spec)
    return any(old != new for old, new in zip(before, now, strict=False))


def no_longer_written(journal: Journal, formats: Sequence[str]) -> str | None:
    """In words for the user, which formats of the export before leave the folder, if any does."""
    policy = journal.exports.policy() or {WRITTEN: ()}
    gone = [name for name in policy[WRITTEN] if name not in formats]
    if not gone:
        return None
    files = ", ".join(FORMATS[name].files for name in gone)
    return f"{', '.join(gone)} no longer written: {files} leave the folder"


def _names(spec: JobSpec) -> tuple[str, ...]:
    return tuple(one.name for one in spec.classes or ())


def _order(names: Sequence[str]) -> str:
    shown = ", ".join(f"{index} {name}" for index, name in enumerate(names[:_SHOWN]))
    return shown + (" …" if len(names) > _SHOWN else "")


def _changed_label(journal: Journal, out: Path) -> str | None:
    """A label file that a person changed, if there is one."""
    for path, files in journal.exports.files().items():
        if path.startswith(LABELS):
            try:
                status = os.lstat(out / path)
            except OSError:
                continue
            if not any(is_as_known(status, file) for file in files):
                return path
    return None
