"""Answers as a model would write them, and jobs in which it did."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

from conftest import annotate
from PIL import Image

from florence_annotate.config import job_spec
from florence_annotate.images import codec
from florence_annotate.images.sources import Sources
from florence_annotate.journal import Journal
from florence_annotate.tasks import OD
from florence_annotate.types import Answer, ImageRef, Question, Record, TokenKind


def answer(*tokens: str | int, task: str = OD, logprobs: list[float] | None = None) -> Answer:
    """Text as one token, numbers as location tokens, `<…>` as control tokens."""
    pieces, kinds = [], []
    for token in tokens:
        if isinstance(token, int):
            pieces.append(f"<loc_{token}>".encode())
            kinds.append(TokenKind.LOCATION)
        else:
            pieces.append(token.encode())
            is_control = token in ("<poly>", "</poly>", "<sep>", "</s>", "<and>")
            kinds.append(TokenKind.CONTROL if is_control else TokenKind.TEXT)
    ends = [sum(map(len, pieces[: place + 1])) for place in range(len(pieces))]
    return Answer(
        Question(task), b"".join(pieces), tuple(ends), tuple(kinds),
        tuple(logprobs or [0.0] * len(pieces)), False,
    )  # fmt: skip


def scored(*found: tuple[str, float, Sequence[int]]) -> Answer:
    """Labels with their scores and the locations of their boxes."""
    tokens: list[str | int] = []
    logprobs: list[float] = []
    for label, score, box in found:
        tokens += [label, *box]
        logprobs += [log(score)] * (1 + len(box))
    return answer(*tokens, logprobs=logprobs)


def say(out: Path, *answers: Answer) -> None:
    """Put these answers in the place of what the model said about every image of a job."""
    with Journal.open_to_write(out) as journal:
        records = [replace(record, answers=answers) for record in journal.records()]
        journal.append(1, records)


def picture(path: Path, size: tuple[int, int] = (100, 80), **options: Any) -> None:
    """An image of one colour to say it about."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, "red").save(path, **options)


def answered_job(folder: Path, task: str, *said: str | int) -> Path:
    """The output of a job about one image, in which the model said this; see `answer`."""
    picture(folder / "in" / "1.png", (200, 160))
    out = folder / "out"
    options = ("--task", task, "--split", "train=1", "--no-canary")
    assert annotate(folder / "in", out, *options).code == 0
    say(out, answer(*said, task=task))
    return out


def written_job(
    folder: Path,
    said: Mapping[str, Sequence[Answer]],
    asked: Collection[Question] = (Question(OD),),
    **settings: object,
) -> Path:
    """The output of a job that no model ran: a journal in which it said this about each image."""
    for index, key in enumerate(said):
        picture(folder / "in" / key, (100 + index, 80))
    out = folder / "out"
    spec = job_spec.build({"sources": (str(folder / "in"),), "split": "train=1", **settings})
    with Journal.create(out) as journal:
        pairs = [[question.task, question.text] for question in asked]
        journal.set_value("asked", {"questions": pairs, "tiles": None, "inputs": None})
        attempt(journal, folder, said, journal.runs.begin(job_spec.dump(spec)))
    return out


def select(journal: Journal, refs: Iterable[ImageRef], limit: int | None = None) -> None:
    """Make these the images of a job, whatever leaves."""
    journal.selection.note(refs, limit)
    journal.selection.take_over()


def attempt(
    journal: Journal, folder: Path, said: Mapping[str, Sequence[Answer]], run: int = 1
) -> None:
    """Select the images of a job's folder, and append what was said about some of them."""
    refs = list(Sources((str(folder / "in"),), codec.SUFFIXES))
    select(journal, refs)
    records = [_record(ref, said[ref.key]) for ref in refs if ref.key in said]
    journal.append(run, records)


def _record(ref: ImageRef, answers: Sequence[Answer]) -> Record:
    data = codec.read_bytes(ref.path)
    image = codec.decode(data)
    return Record(ref, codec.digest(data), image.width, image.height, tuple(answers))
