"""`summary.json`: everything that a CI pipeline may want to know of a job."""

import importlib.metadata
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.statistics import LARGE, SAME_REGION
from florence_annotate.errors import OutputError, nearest_of
from florence_annotate.formats.outcome import Outcome
from florence_annotate.journal import Counts, Journal
from florence_annotate.reports.gates import Gate
from florence_annotate.version import __version__

SUMMARY_NAME = "summary.json"


_PACKAGES = ("numpy", "pillow", "supervision", "tokenizers", "torch", "transformers")


def summarise(
    journal: Journal,
    out: Path,
    spec: JobSpec,
    bound: Mapping[str, Any] | None,
    exported: Outcome | None,
    counts: Counts,
    gates: Sequence[Gate] = (),
) -> dict[str, Any]:
    """Everything that a CI pipeline may want to know of a job, as JSON values.

    `bound` is what binds the job, by name. `exported` is None for a run that was interrupted before
    its dataset was written. `counts` are the journal's, and `gates` those that were judged.
    """
    run = journal.last_report()
    left = run.pop("left_dataset", {})
    return {
        "version": __version__,
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
            for failure in (journal.failures() if counts.failed else ())
        ],
        "left_dataset": left,
        "gates": [
            {
                "gate": gate.gate,
                "class": gate.class_name,
                "asked": gate.asked,
                "found": gate.found,
                "of": gate.of,
                "met": gate.missed is None,
            }
            for gate in gates
        ],
        "missed_gates": [gate.missed for gate in gates if gate.missed is not None],
        "run": run,
        "fingerprint": bound,
        "settings": spec.model_dump(),
        "versions": versions(),
        "files": {} if exported is None else exported.files,
    }


def _describe(exported: Outcome) -> dict[str, Any]:
    statistics, notes = exported.statistics, exported.notes
    return {
        "formats": list(exported.formats),
        "instances": statistics.instances.total(),
        "captions": statistics.captions.total(),
        "captions_by_task": dict(statistics.captions),
        "images_not_asked": statistics.not_asked,
        "images_not_included": notes.not_included,
        "images_without_labels": notes.unlabelled,
        "classes": {name: statistics.instances[name] for name in exported.class_names},
        "classes_without_instances": {
            name: nearest_of(name, statistics.unmapped)
            for name in exported.class_names
            if not statistics.instances[name]
        },
        "dropped": dict(sorted(statistics.dropped.items())),
        f"boxes_over_{LARGE}_of_the_image": statistics.large,
        f"pairs_of_classes_over_{SAME_REGION}_iou": statistics.pairs_across_classes,
        "unmapped_labels": dict(statistics.unmapped.most_common()),
        "truncated": statistics.truncated,
        "left_out": notes.left_out,
        "yolo_left_out": notes.yolo_left_out,
        "instances_without_mask": notes.without_mask,
        "splits_without_images": notes.empty_splits,
        "splits_without_results": notes.without_results,
        "images_copied_instead_of_linked": notes.copied,
        "images_hard_linked": notes.hard_linked,
        "images_moved_to_another_split": notes.moved,
        "has_other_class_ids": notes.renumbered,
        "split_by_folders": notes.by_folders,
        "split_file_names_without_image": notes.unlisted,
        "held": notes.held,
    }


def write_summary(out: Path, summary: dict[str, Any]) -> None:
    """Write `summary.json`. Raises OutputError."""
    path = out / SUMMARY_NAME
    temporary = path.with_suffix(".json.part")
    try:
        temporary.unlink(missing_ok=True)  # of a run that was killed; or a link, not to be followed
        # a path that is no UTF-8 is written as JSON's own escapes
        with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(_pieces(summary))
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError.at(temporary if temporary.is_dir() else path, error) from error


def _pieces(summary: Mapping[str, Any]) -> Iterator[str]:
    """The text of a summary; its files, which may be many, are its last entry, a line each."""
    files = summary["files"]
    others = {name: value for name, value in summary.items() if name != "files"}
    text = json.dumps(others | {"files": {}}, indent=2, ensure_ascii=False)
    if not files:
        yield text + "\n"
        return
    yield text.removesuffix("{}\n}") + "{"
    separator = "\n"
    for path, content in files.items():
        yield f"{separator}    {_quoted(path)}: {_quoted(content)}"
        separator = ",\n"
    yield "\n  }\n}\n"


_quoted = json.JSONEncoder(ensure_ascii=False).encode


def versions() -> dict[str, str]:
    """Versions of what shapes the answers and the files."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
