"""Journal → every file of the output folder: pictures, formats, visuals, `summary.json`."""

import importlib.metadata
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import florence_annotate
from florence_annotate import config, formats
from florence_annotate.config import JobSpec
from florence_annotate.dataset import Dataset, PolicySettings, Statistics, export_names
from florence_annotate.errors import JobError, OutputError
from florence_annotate.formats import pictures
from florence_annotate.formats.export import Export, Notes
from florence_annotate.formats.staging import Staging
from florence_annotate.journal import Journal
from florence_annotate.types import Question

SUMMARY_NAME = "summary.json"

_PACKAGES = ("numpy", "pillow", "supervision", "tokenizers", "torch", "transformers")


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote, and of what."""

    formats: tuple[str, ...]
    class_names: tuple[str, ...]
    statistics: Statistics
    notes: Notes
    files: dict[str, str]
    """Path in the output folder → SHA-256, or the goal of a link."""


def questions_of(journal: Journal) -> tuple[Question, ...]:
    """The questions that the job asks about each picture. Raises JobError before its first run."""
    fingerprint = journal.value("fingerprint")
    if fingerprint is None:
        raise JobError(f"{journal.path} holds no job yet: begin it with 'florence-annotate run'")
    return tuple(Question(task, text) for task, text in fingerprint["questions"])


def last_spec(journal: Journal) -> JobSpec:
    """The settings of the job's last run. Raises JobError before its first."""
    settings = journal.last_settings()
    if settings is None:
        raise JobError(f"{journal.path} holds no job yet: begin it with 'florence-annotate run'")
    return config.load(settings)


def open_dataset(journal: Journal, spec: JobSpec) -> Dataset:
    """The job's pictures under the policy of a specification."""
    return Dataset(journal, questions_of(journal), PolicySettings.of(spec), spec.split, spec.seed)


def export(journal: Journal, out: Path, spec: JobSpec, *, overwrite: bool) -> Exported:
    """Write all formats of a specification, and remove what an earlier export wrote beyond them.

    Raises ExportError for files that were corrected by hand, OutputError for a full disk.
    """
    names = formats.settle(spec.formats, questions_of(journal), spec.images)
    dataset = open_dataset(journal, spec)
    with Staging(out, journal, overwrite) as staging:
        job = Export(dataset, staging, export_names(journal), spec.images, spec.visuals_limit)
        needs_originals = (
            spec.images != "none"
            or spec.visuals
            or any(formats.FORMATS[name].reads_pictures for name in names)
        )
        statistics = job.survey(check_originals=needs_originals)
        if spec.images != "none":
            pictures.write(job)
        for name in names:
            formats.FORMATS[name].write(job)
        if spec.visuals:
            from florence_annotate.formats import visuals  # loads OpenCV

            visuals.write(job)
        files = staging.commit()
    return Exported(names, dataset.class_names, statistics, job.notes, files)


def summarise(
    journal: Journal, out: Path, spec: JobSpec, exported: Exported | None
) -> dict[str, Any]:
    """Everything that a CI pipeline may want to know of a job, as JSON values.

    `exported` is None for a run that was interrupted before its dataset was written.
    """
    counts = journal.counts()
    return {
        "version": florence_annotate.__version__,
        "output": str(out),
        "finished": counts.pending == 0,
        "images": {**asdict(counts), "pending": counts.pending},
        **({} if exported is None else _describe(exported)),
        "failures": [
            {
                "key": failure.ref.key,
                "stage": failure.stage,
                "kind": failure.kind,
                "message": failure.message,
            }
            for failure in journal.failures()
        ],
        "run": journal.last_report(),
        "fingerprint": journal.value("fingerprint"),
        "settings": json.loads(config.dump(spec)),
        "versions": versions(),
        "files": {} if exported is None else exported.files,
    }


def _describe(exported: Exported) -> dict[str, Any]:
    statistics, notes = exported.statistics, exported.notes
    return {
        "formats": list(exported.formats),
        "instances": statistics.instances.total(),
        "captions": statistics.captions,
        "images_not_asked": statistics.not_asked,
        "classes": {name: statistics.instances[name] for name in exported.class_names},
        "dropped": dict(sorted(statistics.dropped.items())),
        "unmapped_labels": dict(statistics.unmapped.most_common()),
        "truncated": statistics.truncated,
        "left_out": notes.left_out,
        "yolo_left_out": notes.yolo_left_out,
        "instances_without_mask": notes.without_mask,
        "splits_without_images": notes.empty_splits,
        "images_copied_instead_of_linked": notes.copied,
    }


def write_summary(out: Path, summary: dict[str, Any]) -> None:
    """Write `summary.json`. Raises OutputError."""
    path = out / SUMMARY_NAME
    temporary = path.with_suffix(".json.part")
    try:
        text = json.dumps(summary, indent=2, ensure_ascii=False)
        # a path that is no UTF-8 is written as JSON's own escapes
        temporary.write_bytes((text + "\n").encode("utf-8", "backslashreplace"))
        temporary.replace(path)
    except OSError as error:
        raise OutputError.at(path, error) from error


def versions() -> dict[str, str]:
    """Versions of what shapes the answers and the files."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
