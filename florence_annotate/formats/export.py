"""Journal → every file of the output folder, in one pass over the images."""

import os
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
from florence_annotate.journal import Journal, Made, Planned
from florence_annotate.types import ImageRef

_PAGE = 1024
"""Images that are noted at once."""


def export(
    journal: Journal,
    out: Path,
    spec: JobSpec,
    *,
    overwrite: bool,
    renumber: bool = False,
    home: Replacing | None = None,
    judge_lost: Callable[[int, Iterable[ImageRef]], None],
    settle: Callable[[Sequence[str]], None],
) -> Outcome:
    """Write all formats of a specification, and remove what an earlier export wrote beyond them.

    `home` is the job's own folder, where the export goes to another one: it may have what is left
    of an image. `judge_lost` is called with how many images there are of which no file is left, if
    there are any, and with these, and may refuse to leave them out. `settle` is called with the
    names of the classes by id once nothing can be refused any more, and before the first file
    changes. Nothing is built where that would change nothing. A file that was corrected by hand
    stays as it is, unless it may be overwritten. Raises UsageError for settings that would renumber
    classes, unless they may, and for those that leave no image, ExportError where no original is
    left, what `judge_lost` raises, OutputError for a full disk.
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
    with Staging(out, Planned(journal)) as staging:
        job = Export(spec, staging)
        folders = [replacing, *([home] if home else [])]
        seen_again: list[ImageRef] = []
        originals = Originals(folders, job.notes, are_needed=needs, seen_again=seen_again)
        writers = _writers(job, formats)
        for writer in writers:
            writer.begin(dataset)
        assigning = Assigning(journal, dataset.split_rule, job.notes)
        for entry in _entries(_chosen(dataset, job), assigning, originals, statistics):
            for writer in writers:
                writer.add(entry)
                if entry.image.ref.key in job.notes.left_out:
                    break  # by a writer that could not read it
            if len(seen_again) >= _PAGE:
                journal.selection.note_same_content(seen_again)
                seen_again.clear()
        journal.selection.note_same_content(seen_again)
        originals.refuse_none()
        if originals.lost:
            judge_lost(originals.lost, _lost(journal, job))
        for writer in writers:
            writer.finish()
        staging.finish()
        files = staging.planned.contents
        outcome = Outcome(formats, dataset.class_names, statistics, job.notes, files)
        job.notes.held = replacing.compare(staging, overwrite=overwrite)
        job.notes.renumbered = gets_other_ids(journal, spec)
        made = Made(unchanged.shaping | {WRITTEN: list(formats)}, dataset.class_names)
        settle(dataset.class_names)
        moving = Moving(replacing, staging, job.notes.held)
        moving.commit(made, lambda: unchanged.to_keep(outcome))
    return outcome


def _lost(journal: Journal, job: Export) -> Iterator[ImageRef]:
    """The images that are left out because there is no file of them."""
    for ref in journal.annotated():
        if ref.key in job.notes.left_out and not os.path.exists(ref.path):
            yield ref


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
