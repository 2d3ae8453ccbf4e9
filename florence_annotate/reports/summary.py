"""`summary.json`: everything that a CI pipeline may want to know of a job."""

import importlib.metadata
import json
import platform
import re
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
from florence_annotate.types import Failure
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
    """Write `summary.json`, and return what it says, as JSON values, but for what may be long: the
    `failures` and the `files`.

    `bound` is what binds the job, by name. `exported` is None for a run that was interrupted before
    its dataset was written. `counts` are the journal's, and `gates` those that were judged. Raises
    OutputError.
    """
    run = journal.runs.last_report()
    left = run.pop("left_dataset", {})
    summary = {
        "version": __version__,
        "output": str(out),
        "finished": counts.pending == 0,
        "images": {**asdict(counts), "pending": counts.pending},
        **({} if exported is None else _describe(exported)),
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
    }
    failures = journal.failures() if counts.failed else iter(())
    write_summary(out, summary, failures, exported.files() if exported else iter(()))
    return summary


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


def write_summary(
    out: Path,
    summary: Mapping[str, Any],
    failures: Iterator[Failure],
    files: Iterator[tuple[str, str]],
) -> None:
    """Write `summary.json`; files are path and content. Raises OutputError."""
    path = out / SUMMARY_NAME
    temporary = path.with_suffix(".json.part")
    try:
        temporary.unlink(missing_ok=True)  # of a run that was killed; or a link, not to be followed
        # a path that is no UTF-8 is written as JSON's own escapes
        with temporary.open("x", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.writelines(_pieces(summary, failures, files))
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise OutputError.at(temporary if temporary.is_dir() else path, error) from error


def _pieces(
    summary: Mapping[str, Any],
    failures: Iterator[Failure],
    files: Iterator[tuple[str, str]],
) -> Iterator[str]:
    """The text, indented, a piece at a time."""
    yield "{\n"
    for name, value in summary.items():
        yield f"  {_quoted(name)}: "
        for piece in _INDENTED.iterencode(value):
            yield piece.replace("\n", "\n  ")
        yield ",\n"
    told = (f"\n    {_quoted(_told(failure))}" for failure in failures)
    yield from _enclosed('  "failures": [', told, "]")
    yield ",\n"
    listed = (f"\n    {_quoted(path)}: {_quoted(content)}" for path, content in files)
    yield from _enclosed('  "files": {', listed, "}")
    yield "\n}\n"


def _enclosed(begin: str, lines: Iterator[str], end: str) -> Iterator[str]:
    yield begin
    line = next(lines, None)
    if line is not None:
        yield line
        for line in lines:
            yield f",{line}"
        yield "\n  "
    yield end


def _told(failure: Failure) -> dict[str, str]:
    return {
        "key": failure.ref.key,
        "stage": failure.stage,
        "kind": failure.kind,
        "message": failure.message,
    }


_INDENTED = json.JSONEncoder(indent=2, ensure_ascii=False)
_quoted = json.JSONEncoder(ensure_ascii=False).encode
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")


def text_of(out: Path) -> Iterator[str]:
    """`summary.json`, a line at a time, in ASCII."""
    with (out / SUMMARY_NAME).open(encoding="utf-8") as file:
        for line in file:
            # all that is not ASCII stands in texts
            yield _NOT_ASCII.sub(lambda found: json.dumps(found[0])[1:-1], line)


def versions() -> dict[str, str]:
    """Versions of what shapes the answers and the files."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
