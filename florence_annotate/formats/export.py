"""Journal → every file of the output folder, in one pass over the images."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.dataset.opening import open_dataset, questions_of
from florence_annotate.dataset.statistics import Statistics
from florence_annotate.formats import registry
from florence_annotate.formats.entries import Entry, Export, Notes, Writer
from florence_annotate.formats.names import export_names
from florence_annotate.formats.originals import Originals
from florence_annotate.formats.placing import Placing
from florence_annotate.formats.replacing import Replacing
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
    formats = registry.settle(spec.formats, questions_of(journal), spec.images)
    dataset = open_dataset(journal, spec)
    replacing = Replacing(out, journal)
    statistics = Statistics()
    with Staging(out) as staging:
        job = Export(spec, staging)
        originals = Originals(replacing, job.notes, are_needed=_need_originals(spec, formats))
        writers = _writers(job, formats)
        for writer in writers:
            writer.begin(dataset)
        entries = _entries(dataset, journal, originals, statistics)
        for entry in entries:
            for writer in writers:
                writer.add(entry)
                if entry.image.ref.key in job.notes.left_out:
                    break  # by a writer that could not read it
        originals.refuse_none()
        for writer in writers:
            writer.finish()
        files = replacing.commit(staging, overwrite)
    return Exported(formats, dataset.class_names, statistics, job.notes, files)


def _need_originals(spec: JobSpec, formats: Sequence[str]) -> bool:
    reads = any(registry.FORMATS[name].reads_originals for name in formats)
    return spec.images != "none" or spec.visuals or reads


def _writers(job: Export, formats: Sequence[str]) -> list[Writer]:
    """All that write of each image, in their order."""
    writers: list[Writer] = []
    if job.spec.images != "none":
        writers.append(Placing(job))
    writers += [registry.FORMATS[name].writer(job) for name in formats]
    if job.spec.visuals:
        from florence_annotate.formats.visuals import VisualsWriter

        writers.append(VisualsWriter(job))
    return writers


def _entries(
    dataset: Dataset, journal: Journal, originals: Originals, statistics: Statistics
) -> Iterator[Entry]:
    """The images of the export in the order of their keys; `statistics` counts what they hold."""
    export_name = export_names(journal)
    for image in dataset:
        # where nothing was asked, nothing is known: an empty annotation would say otherwise
        if not image.was_asked:
            statistics.not_asked += 1
            continue
        if (found := originals.find(image)) is None:
            continue
        statistics.add(image)
        key, (path, is_kept) = image.ref.key, found
        yield Entry(image, export_name(key), dataset.split_of(key), path, is_kept)
