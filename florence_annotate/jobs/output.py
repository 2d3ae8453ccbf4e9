"""Where a dataset goes, and which folders can't take one."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from florence_annotate.errors import SourceError, UsageError
from florence_annotate.images.shards import Shard
from florence_annotate.images.sources import Sources
from florence_annotate.journal import FILE_NAME, exists, lock, refuse_unmerged


def default_output(sources: tuple[str, ...], shard: Shard | None = None) -> Path:
    """`<source>-dataset` beside a single folder, of a shard with its part behind that. Raises
    UsageError where there is none."""
    if len(sources) == 1:
        folder = Path(sources[0])
        part = f"-{shard.index}-of-{shard.count}" if shard else ""
        beside = folder.with_name(f"{folder.name}-dataset{part}") if folder.name else None
        is_folder = os.path.isdir(folder) and folder.absolute() != Path.cwd()
        # where the folder is gone, its job knows that it was there
        if beside and (is_folder or (not os.path.exists(folder) and exists(beside))):
            return beside
        if not os.path.lexists(folder) and not glob.has_magic(sources[0]):
            name = os.path.relpath(folder)
            raise SourceError(f"the source {name!r} is not there: check the spelling")
    raise UsageError(
        "say with -o where the dataset goes: only a single folder, other than the one you are in, "
        "has a default"
    )


def real(path: Path) -> Path:
    """Where a path leads; a link that leads to itself, at which `Path.resolve` fails, to itself."""
    return Path(os.path.realpath(path))


def refuse_overlap(out: Path, folders: Iterable[Path], images: Iterable[Path]) -> None:
    """Raise UsageError for an output that overlaps with folders that are walked for images, or
    holds an image that was named by itself."""
    resolved = real(out)
    for folder in map(real, folders):
        if resolved == folder or folder in resolved.parents:
            raise UsageError(
                f"the output {out} lies in the source {folder}, where its images would "
                "be annotated again: choose another output with -o"
            )
        if resolved in folder.parents:
            raise UsageError(
                f"the source {folder} lies in the output {out}: choose another output with -o"
            )
    for image in images:
        if resolved in real(image).parents:
            raise UsageError(
                f"the source image {image} lies in the output {out}: leave it out, or "
                "choose another output with -o"
            )


def refuse_unusable(out: Path, sources: Sources) -> None:
    """Raise UsageError for an output that holds something else, leads nowhere, or overlaps with a
    source, JobError for one that is not all merged."""
    refuse_overlap(out, sources.folders, sources.images)
    refuse_no_folder(out)
    if out.is_dir() and not (out / FILE_NAME).is_file():
        refuse_unmerged(out)
        refuse_other_files(out)


def refuse_no_folder(out: Path) -> None:
    """Raise UsageError for an output that leads nowhere, or is a file."""
    if out.is_symlink() and not out.exists():
        raise UsageError(
            f"the output {out} is a link to {out.readlink()}, which is not there: make that "
            "folder, remove the link, or choose another output with -o"
        )
    if out.exists() and not out.is_dir():
        raise UsageError(f"the output {out} is a file: choose another output with -o")


def refuse_other_files(folder: Path, *, beside: str = lock.FILE_NAME) -> None:
    """Raise UsageError for a folder without a job that holds something; but for a lock, and what is
    named `beside` it."""
    if any(path.name not in (lock.FILE_NAME, beside) for path in folder.iterdir()):
        raise UsageError(
            f"{folder} holds other files and no job: choose a new or an empty folder with -o"
        )
