"""A job's journal and its last settings → its dataset."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from florence_annotate.config import job_spec, policy_file
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.choosing import is_chosen
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.dataset.splits import SplitRule
from florence_annotate.errors import JobError
from florence_annotate.journal import Journal, exists, older, refuse_unmerged
from florence_annotate.policy.settings import PolicySettings
from florence_annotate.types import Question


def open_journal(folder: Path, *, checks_images: bool = True) -> Journal:
    """The journal of a job's folder, to be read; see `Journal.open_existing`.

    Raises JobError where the folder holds none, also for a dataset that was exported to it.
    """
    if not exists(folder):
        refuse_unmerged(folder)
    if not exists(folder) and policy_file.target_of(folder / policy_file.NAME) is not None:
        raise JobError(
            f"{folder} is a dataset that a job in another folder was exported to, as the target in "
            "its policy.yaml says, and holds no job of its own: give the folder of that job"
        )
    return Journal.open_existing(folder, checks_images=checks_images)


def questions_of(journal: Journal) -> tuple[Question, ...]:
    """The questions that the job asks about each image. Raises JobError before its first run."""
    asked = older.asked(journal)
    if asked is None:
        raise JobError(f"{journal.path} holds no job yet: begin it with 'florence-annotate run'")
    return questions_in(asked)


def questions_in(asked: Mapping[str, Any]) -> tuple[Question, ...]:
    """Those of what `journal.older.asked` gives."""
    return tuple(Question(task, text) for task, text in asked["questions"])


def last_spec(journal: Journal) -> JobSpec:
    """The settings of the job's last run. Raises JobError before its first."""
    settings = journal.runs.last_settings()
    if settings is None:
        raise JobError(f"{journal.path} holds no job yet: begin it with 'florence-annotate run'")
    return job_spec.load(settings)


def open_dataset(journal: Journal, spec: JobSpec, until: int | None = None) -> Dataset:
    """All of the job's images under the policy of a specification; `until` is the last attempt
    that counts, where one is named."""
    return Dataset(*_made_of(journal, spec), until=until)


def open_chosen(journal: Journal, spec: JobSpec) -> Dataset:
    """Of the job's images, those that a specification chooses, under its policy."""
    return Dataset(*_made_of(journal, spec), partial(is_chosen, spec=spec))


def _made_of(
    journal: Journal, spec: JobSpec
) -> tuple[Journal, Sequence[Question], PolicySettings, SplitRule, Sequence[str]]:
    known = journal.exports.class_ids.given() if spec.classes is None else ()
    return journal, questions_of(journal), spec.policy(), SplitRule.of(spec, journal), known
