"""Changes that would move what was settled: other ids of classes, another split, another YOLO.

They are refused before anything is done: ids where nobody said that they may change, and all of
them where a person's corrections would be left with a meaning that they were not given, or with a
class that is gone.
"""

import os
from collections.abc import Container, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.splits import SplitRule
from florence_annotate.errors import UsageError
from florence_annotate.formats.holding import LABELS
from florence_annotate.formats.registry import FORMATS
from florence_annotate.formats.replacing import is_as_known
from florence_annotate.formats.staging import name_of_content
from florence_annotate.journal import Journal, has_other_ids
from florence_annotate.user_files import SMALL, UnreadableFileError, read_text

WRITTEN = "formats_written"
"""In the policy of an export: its formats, also where nobody chose them."""
_SHOWN = 12
"""Classes that a message names."""


def refuse_upheaval(
    journal: Journal,
    out: Path,
    spec: JobSpec,
    rule: SplitRule,
    formats: Sequence[str],
    *,
    renumber: bool,
    overwrite: bool,
) -> None:
    """Raise UsageError for settings that would renumber classes, unless they may, and for those
    that would change what label files mean where a person changed one, unless it may be lost."""
    policy = journal.exports.policy_of_files()
    if policy is None:
        return
    changes = []
    if gets_other_ids(journal, spec):
        # labels that became classes by themselves have no order that anybody chose
        if journal.exports.class_ids.are_chosen() and not renumber:
            before, now = journal.exports.class_ids.given(), _names(spec)
            raise UsageError(
                f"this class list would give classes other ids: they were {_order(before)}, and "
                f"would be {_order(now)}. Keep the order and put new classes behind, or give "
                "--renumber"
            )
        changes.append("other ids of classes")
    if rule.is_other_than(policy):
        changes.append("another split")
    kinds = [
        [n for n in names if FORMATS[n].is_yolo] for names in (policy.get(WRITTEN, ()), formats)
    ]
    if all(kinds) and kinds[0] != kinds[1]:
        changes.append("another kind of YOLO")
    if overwrite:
        return
    if changes and (held := next(_changed_labels(journal, out), None)):
        raise UsageError(
            f"{' and '.join(changes)}: {held} was changed since it was written, and would mean "
            "something else: move it away first, or give --overwrite to lose what was changed"
        )
    if gone := _left_out(journal, spec):
        for held in _changed_labels(journal, out):
            if _names_one_of(gone, out / held):
                raise UsageError(
                    f"this class list leaves out {_listed(gone)}: {held} was changed since it was "
                    "written, and names such a class: move it away first, or give --overwrite to "
                    "lose what was changed"
                )


def gets_other_ids(journal: Journal, spec: JobSpec) -> bool:
    """Whether a class would have another id than in the export before."""
    if spec.classes is None:
        return False  # labels that are new come behind
    return has_other_ids(journal.exports.class_ids.given(), _names(spec))


def is_corrected(journal: Journal, out: Path) -> bool:
    """Whether a person changed a label file."""
    return next(_changed_labels(journal, out), None) is not None


def notes(journal: Journal, spec: JobSpec, formats: Sequence[str]) -> list[str]:
    """What the user is told of an export before it is made, beside the settings that change."""
    return [
        line for line in (_no_longer_written(journal, formats), _kept_ids(journal, spec)) if line
    ]


def _kept_ids(journal: Journal, spec: JobSpec) -> str | None:
    """Which ids labels have that become classes where there was a class list before."""
    policy = journal.exports.policy() or {}
    if spec.classes is not None or policy.get("classes") is None:
        return None
    given = _order(journal.exports.class_ids.given())
    return f"class ids stay as the class list gave them, with further labels behind: {given}"


def _no_longer_written(journal: Journal, formats: Sequence[str]) -> str | None:
    """Which formats of the export before leave the folder, if any does."""
    policy = journal.exports.policy() or {}
    gone = [name for name in policy.get(WRITTEN, ()) if name not in formats]
    if not gone:
        return None
    files = ", ".join(FORMATS[name].files for name in gone)
    return f"{', '.join(gone)} no longer written: {files} leave the folder"


def _names(spec: JobSpec) -> tuple[str, ...]:
    return tuple(one.name for one in spec.classes or ())


def _left_out(journal: Journal, spec: JobSpec) -> dict[int, str]:
    """The classes of the export before that a class list has no more, by id."""
    if spec.classes is None:
        return {}
    return dict(list(enumerate(journal.exports.class_names()))[len(spec.classes) :])


def _order(names: Sequence[str]) -> str:
    return _listed(dict(enumerate(names)))


def _listed(names: Mapping[int, str]) -> str:
    shown = ", ".join(f"{index} {name}" for index, name in islice(names.items(), _SHOWN))
    return shown + (" …" if len(names) > _SHOWN else "")


def _changed_labels(journal: Journal, out: Path) -> Iterator[str]:
    """The label files that a person changed."""
    for path, files in journal.exports.files.by_path(LABELS):
        place = f"{out}/{path}"
        try:
            status = os.lstat(place)
            if any(is_as_known(status, file) for file in files):
                continue
            # a copy of the folder has other times
            if name_of_content(place) in [file.content for file in files]:
                continue
        except FileNotFoundError:
            continue
        except OSError:
            pass  # what can't be read is held, too
        yield path


def _names_one_of(class_ids: Container[int], label: Path) -> bool:
    """Whether a row of a label file is of one of these classes; so it may be in one that can't be
    read."""
    try:
        rows = read_text(label, SMALL).splitlines()
    except UnreadableFileError:
        return True
    return any(_class_of(row) in class_ids for row in rows)


def _class_of(row: str) -> int | None:
    """The class id of a row; also of one that a tool wrote as `2.0`."""
    try:
        return int(float(row.split(maxsplit=1)[0]))
    except (IndexError, ValueError, OverflowError):
        return None
