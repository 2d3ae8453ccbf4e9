"""What was settled of a dataset stays settled: the settings of `policy.yaml`, and of the journal
where a folder has none."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.job_spec import OPTIONS, JobSpec
from florence_annotate.config.policy_file import NAME, SETTLED
from florence_annotate.config.settings import CHOOSING
from florence_annotate.declaration import Kept
from florence_annotate.errors import JobError
from florence_annotate.journal import FILE_NAME, Journal

KEPT = tuple(n for n, option in OPTIONS.items() if option.kept in (Kept.POLICY, Kept.JOURNAL))
"""What a dataset goes by."""


def read(journal: Journal, folder: Path) -> dict[str, Any]:
    """The settings that are settled of the job's dataset in a folder, all of them.

    A file there says it; what it leaves out is as the job began. Without a file it is as the
    dataset was exported last, and before the first export as the last run has it. Raises UsageError
    for a file that can't be read.
    """
    began = _of_run(journal.runs.first_settings())
    file = policy_file.read(folder / NAME)
    exported = journal.exports.policy()
    if exported is None:
        latest = _of_run(journal.runs.last_settings()) or began
    else:
        latest = began | of_export(exported)
    if file is None:
        return latest
    beside = {name: value for name, value in latest.items() if name not in SETTLED}
    return began | beside | dict(file.settings)


def of_export(policy: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of an export, as the journal keeps them. Raises JobError for what are none."""
    held = {name: value for name, value in policy.items() if name in KEPT}
    try:
        return _settled(JobSpec.model_validate(held), held)
    except ValidationError as error:
        why = f"the policy of an export: {job_spec.explain(error, str)}"
        raise JobError.damaged(FILE_NAME, why) from error


def chosen_by_export(policy: Mapping[str, Any]) -> dict[str, Any]:
    """By which settings an export chose among the images: they are not settled, but its own."""
    held = {name: policy[name] for name in CHOOSING if name in policy}
    return _settled(JobSpec.model_validate(held), held)


def _of_run(text: str | None) -> dict[str, Any]:
    return {} if text is None else _settled(job_spec.load(text), KEPT)


def _settled(spec: JobSpec, names: Any) -> dict[str, Any]:
    return {name: getattr(spec, name) for name in names}


def apply(spec: JobSpec, settled: Mapping[str, Any]) -> JobSpec:
    """The specification with what is settled; what a flag says beats it."""
    values = {name: value for name, value in settled.items() if name not in spec.by_flag}
    return spec.model_copy(update=values)


def write(
    journal: Journal, folder: Path, spec: JobSpec, class_names: Iterable[str] | None = None
) -> None:
    """Write what flags say into `policy.yaml`; where there is none, all that is settled.

    `class_names` are shown there by id: those of the export before, where none are given. Raises
    OutputError, and UsageError for a file that can't be read.
    """
    path = folder / NAME
    names = spec.by_flag.intersection(SETTLED) if path.exists() else SETTLED
    values = {name: getattr(spec, name) for name in SETTLED if name in names}
    if class_names is None:
        class_names = journal.exports.class_names()
    policy_file.write(path, values, target=journal.exports.name, class_names=class_names)


def changes(journal: Journal, spec: JobSpec) -> list[str]:
    """A line for each setting that differs from those of the export before, if there was one."""
    exported = journal.exports.policy()
    if exported is None:
        return []
    now = {name: getattr(spec, name) for name in SETTLED}
    return policy_file.differences(of_export(exported), now)
