"""Journal → every file of the output folder, in one pass over the images."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.dataset.choosing import is_included, is_labelled_enough
from florence_annotate.dataset.dataset import Dataset
from florence_annotate.dataset.opening import open_dataset, questions_of
from florence_annotate.dataset.statistics import Statistics
from florence_annotate.errors import UsageError
from florence_annotate.formats import registry
from florence_annotate.formats import staging as staging_folder
from florence_annotate.formats.assigning import Assigning
from florence_annotate.formats.entries import Entry, Export, Writer
from florence_annotate.formats.moving import Moving
from florence_annotate.formats.originals import Originals
from florence_annotate.formats.outcome import Outcome
from florence_annotate.formats.placing import Placing
from florence_annotate.formats.replacing import Replacing
from florence_annotate.formats.staging import Staging
from florence_annotate.formats.unchanged import Unchanged
from florence_annotate.formats.upheavals import WRITTEN, gets_other_ids, refuse_upheaval
from florence_annotate.journal import Journal, Made
from florence_annotate.types import ImageRef


def export(
    journal: Journal,
    out: Path,
    spec: JobSpec,
    *,
    overwrite: bool,
    renumber: bool = False,
    home: Replacing | None = None,
    judge_lost: Callable[[Sequence[ImageRef]], None],
    settle: Callable[[Sequence[str]], None],
) -> Outcome:
    """Write all formats of a specification, and remove what an earlier export wrote beyond them.

    `home` is the job's own folder, where the export goes to another one: it may have what is left
    of an image. `judge_lost` is called with the images of which there is no file left, if there are
    any, and may refuse to leave them out. `settle` is called with the names of the classes by id
    once nothing can be refused any more, and before the first file changes. Nothing is built where
    that would change nothing. A file that was corrected by hand stays as it is, unless it may be
    overwritten. Raises UsageError for settings that would renumber classes, unless they may, and
    for those that leave no image, ExportError where no original is left, what `judge_lost` raises,
    OutputError for a full disk.
    """
    questions = questions_of(journal)
    formats = registry.settle(spec, questions)
    dataset = open_dataset(journal, spec)
    refuse_upheaval(
        *(journal, out, spec, dataset.split_rule, formats), renumber=renumber, overwrite=overwrite
    )
    needs = _need_originals(spec, formats)
    unchanged = Unchanged(
        journal, out, spec, formats, questions, dataset.split_rule, are_originals_needed=needs
    )
    if (outcome := unchanged.outcome()) is not None:
        staging_folder.remove(out)  # of an export that was killed before it moved anything
        settle(outcome.class_names)
        return outcome
    journal.check_images()
    replacing = Replacing(out, journal)
    statistics = Statistics()
    with Staging(out) as staging:
        job = Export(spec, staging)
        originals = Originals([replacing, *([home] if home else [])], job.notes, are_needed=needs)
        writers = _writers(job, formats)
        for writer in writers:
            writer.begin(dataset)
        assigning = Assigning(journal, dataset.split_rule, job.notes)
        for entry in _entries(_chosen(dataset, job), assigning, originals, statistics):
            for writer in writers:
                writer.add(entry)
                if entry.image.ref.key in job.notes.left_out:
                    break  # by a writer that could not read it
        originals.refuse_none()
        if originals.lost:
            judge_lost(originals.lost)
        for writer in writers:
            writer.finish()
        outcome = Outcome(formats, dataset.class_names, statistics, job.notes, staging.finish())
        changes = replacing.compare(staging, overwrite=overwrite)
        job.notes.held = changes.held
        job.notes.renumbered = gets_other_ids(journal, spec)
        made = Made(unchanged.shaping | {WRITTEN: list(formats)}, dataset.class_names)
        settle(dataset.class_names)
        moving = Moving(replacing, staging, changes)
        moving.commit(made, lambda: unchanged.to_keep(outcome))
        journal.selection.note_same_content(originals.seen_again)
    return outcome


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


def _chosen(dataset: Dataset, job: Export) -> Iterator[AnnotatedImage]:
    """The images that the settings take; the others are counted.

    Raises UsageError where the patterns take none of them.
    """
    spec, notes = job.spec, job.notes
    is_any_included = False
    for image in dataset:
        if not is_included(image, spec):
            notes.not_included += 1
            continue
        is_any_included = True
        if not is_labelled_enough(image, spec):
            notes.unlabelled += 1
            continue
        yield image
    if notes.not_included and not is_any_included:
        raise UsageError(
            "--include and --exclude leave none of the job's images, which are named as "
            f"{image.ref.key!r} is: check the patterns"
        )


def _entries(
    images: Iterable[AnnotatedImage],
    assigning: Assigning,
    originals: Originals,
    statistics: Statistics,
) -> Iterator[Entry]:
    """The images of the export in the order of their keys; `statistics` counts what they hold."""
    for image in images:
        # where nothing was asked, nothing is known: an empty annotation would say otherwise
        if not image.was_asked:
            statistics.not_asked += 1
            continue
        if (found := originals.find(image)) is None:
            continue
        statistics.add(image)
        number, split, name = assigning.assign(image)
        yield Entry(image, name, split, found[0], number, found[1])
