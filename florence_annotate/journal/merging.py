"""What other journals hold of images, taken over into this one.

What stands here already stays where it is as good, so that taking over can be stopped at any moment
and repeated as often as one likes.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from florence_annotate.errors import JobError
from florence_annotate.journal.journal import Journal
from florence_annotate.journal.selection import LATEST_ATTEMPT
from florence_annotate.types import Failure, ImageRef, Record

STAGING = ".merging"
"""The folder within an output in which a journal lies until it holds all that it is made of."""
_PAGE = 256
"""Images that are taken over in one transaction: their answers may be long."""


def refuse_unmerged(folder: Path) -> None:
    """Raise JobError for an output whose journal is not all there yet."""
    if (folder / STAGING).is_dir():
        raise JobError(
            f"{folder} is being merged, or was when a command was stopped: give the same 'merge' "
            "again, or remove the folder"
        )


class _Seen(NamedTuple):
    """The latest attempt at an image."""

    image: int
    ref: ImageRef
    sha: str | None
    """None where it failed."""


class Merging:
    """Takes attempts of other journals over, as those of one run."""

    def __init__(
        self,
        into: Journal,
        run: int,
        is_as_it_lies: Callable[[ImageRef, str], bool],
        *,
        has_own_texts: bool,
    ) -> None:
        """`is_as_it_lies` says whether an image's file has the bytes with a hash. Where images have
        texts of their own, what was asked is compared for each."""
        self._into = into
        self._run = run
        self._is_as_it_lies = is_as_it_lies
        self._has_own_texts = has_own_texts
        self.undecided: list[str] = []
        """Images of which two journals have other bytes, and the file has neither or is gone."""

    def take(self, other: Journal, where: Callable[[ImageRef], ImageRef]) -> None:
        """Take over what another journal knows better of an image: all its attempts at it.

        `where` says of an image of the other one where its file lies, seen from here.

        Of two records of the same bytes the first one stays, and so it is with two failures. A
        record is better than a failure, and of records of other bytes that one whose bytes the file
        has. Raises JobError where the same bytes were asked about otherwise, or an answer is
        damaged.
        """
        images = _latest_attempts(other, where)
        while page := list(islice(images, _PAGE)):
            known = self._known([seen.ref.key for seen in page])
            better = [seen for seen in page if self._is_better(other, seen, known)]
            if not better:
                continue
            self._into.selection.know(seen.ref for seen in better)
            self._into.append(self._run, list(_outcomes(other, better, where)))

    def _known(self, keys: list[str]) -> dict[str, _Seen]:
        """The latest attempts at these images here, by key; the others are left out."""
        rows = self._into.tuples(f"{_LATEST} WHERE key IN ({', '.join('?' * len(keys))})", keys)
        return {row[0]: _seen(row) for row in rows}

    def _is_better(self, other: Journal, theirs: _Seen, known: dict[str, _Seen]) -> bool:
        ours = known.get(theirs.ref.key)
        if ours is None:
            return True
        if theirs.sha is None or ours.sha is None:
            return theirs.sha is not None
        if theirs.sha == ours.sha:
            if self._has_own_texts:
                self._refuse_other_texts(other, theirs.ref.key)
            return False
        if self._is_as_it_lies(ours.ref, ours.sha):
            return False
        if self._is_as_it_lies(theirs.ref, theirs.sha):
            return True
        self.undecided.append(theirs.ref.key)
        return False

    def _refuse_other_texts(self, other: Journal, key: str) -> None:
        ours, theirs = map(_texts, (self._into.record_of(key), other.record_of(key)))
        if ours != theirs:
            raise JobError(
                f"{other.path.parent} asked {theirs} about {key}, and a journal before it {ours}, "
                "of the same image: annotate it anew in one of them (run --restart), or merge them "
                "apart"
            )


_LATEST = (
    "SELECT key, images.id, attempts.path, attempts.size_bytes, attempts.mtime_ns, attempts.inode, "
    f"sha FROM images JOIN attempts ON attempts.seq = {LATEST_ATTEMPT}"
)


def _seen(row: tuple[object, ...]) -> _Seen:
    key, image, *stamps, sha = row
    return _Seen(image, ImageRef(key, *stamps), sha)  # type: ignore[arg-type]


def _latest_attempts(journal: Journal, where: Callable[[ImageRef], ImageRef]) -> Iterator[_Seen]:
    """That at each image that has one, by key, also of images that left."""
    for row in journal.paged(f"{_LATEST} WHERE key > :after ORDER BY key LIMIT :page"):
        seen = _seen(row)
        yield seen._replace(ref=where(seen.ref))


def _outcomes(
    journal: Journal, images: list[_Seen], where: Callable[[ImageRef], ImageRef]
) -> Iterator[Record | Failure]:
    """All attempts at these images, image by image, in their order."""
    keys = {seen.image: seen.ref.key for seen in images}
    rows = journal.tuples(
        "SELECT image, seq, path, size_bytes, mtime_ns, inode, sha, width, height, stage, kind, "
        f"message FROM attempts WHERE image IN ({', '.join('?' * len(keys))}) ORDER BY image, seq",
        list(keys),
    )
    answers = journal.answers_of([row[1] for row in rows])
    for image, seq, *stamps, sha, width, height, stage, kind, message in rows:
        ref = where(ImageRef(keys[image], *stamps))
        if sha is None:
            yield Failure(ref, stage, kind, message)
        else:
            yield Record(ref, sha, width, height, answers.get(seq, ()))


def _texts(record: Record | None) -> list[str]:
    """What an image was asked that has a text of its own."""
    answers = record.answers if record else ()
    asked = {answer.question for answer in answers if answer.question.region is None}
    return sorted(f"{question.task} {question.text or ''}".strip() for question in asked)
