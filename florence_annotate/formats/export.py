"""Journal → every file of the output folder: pictures, formats, visuals, `summary.json`."""

from dataclasses import dataclass
from pathlib import Path

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.opening import open_dataset, questions_of
from florence_annotate.dataset.statistics import Statistics
from florence_annotate.formats import pictures, registry
from florence_annotate.formats.entries import Export, Notes
from florence_annotate.formats.names import export_names
from florence_annotate.formats.staging import Staging
from florence_annotate.journal import Journal


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote, and of what."""

    formats: tuple[str, ...]
    class_names: tuple[str, ...]
    statistics: Statistics
    notes: Notes
    files: dict[str, str]
    """Path in the output folder → SHA-256, or the goal of a link."""


def export(journal: Journal, out: Path, spec: JobSpec, *, overwrite: bool) -> Exported:
    """Write all formats of a specification, and remove what an earlier export wrote beyond them.

    Raises ExportError for files that were corrected by hand, OutputError for a full disk.
    """
    names = registry.settle(spec.formats, questions_of(journal), spec.images)
    dataset = open_dataset(journal, spec)
    with Staging(out, journal, overwrite) as staging:
        job = Export(dataset, staging, export_names(journal), spec.images, spec.visuals_limit)
        needs_originals = (
            spec.images != "none"
            or spec.visuals
            or any(registry.FORMATS[name].reads_pictures for name in names)
        )
        statistics = job.survey(check_originals=needs_originals)
        if spec.images != "none":
            pictures.write(job)
        for name in names:
            registry.FORMATS[name].write(job)
        if spec.visuals:
            from florence_annotate.formats import visuals

            visuals.write(job)
        files = staging.commit()
    return Exported(names, dataset.class_names, statistics, job.notes, files)
