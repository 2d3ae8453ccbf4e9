"""The values that travel between the rooms. Standard library only."""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any, Literal, NamedTuple, Protocol, Self

from florence_annotate.reasons import Reason

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels of the upright image; x to the right, y down."""

Polygon = tuple[tuple[float, float], ...]
"""At least three x, y points, in pixels of the upright image."""


SPLITS = ("train", "val", "test")
"""The parts that a dataset may have."""


class ImageRef(NamedTuple):
    """An image that a source named; its file has not been read yet.

    A tuple, since of a million images a million are made before the first is read.
    """

    key: str
    """Unique in the job: the path relative to its source, with `/`, in printable characters."""
    path: bytes
    """The true path, absolute, as the file system spells it."""
    size_bytes: int
    mtime_ns: int
    inode: int | None = None
    """None where it is not known, as in what older versions wrote."""

    @classmethod
    def of(cls, key: str, path: bytes, status: os.stat_result) -> Self:
        """An image in a file with this status."""
        return cls(key, path, status.st_size, status.st_mtime_ns, _inode_of(status))

    def seen_as(self, status: os.stat_result) -> Self:
        """The same image in a file with this status."""
        return self.of(self.key, self.path, status)

    def is_seen_in(self, status: os.stat_result) -> bool:
        """Whether a file with this status looks like the one that was named.

        An inode that is not known tells nothing. `journal.selection` asks it of its rows.
        """
        inode = _inode_of(status)
        is_same_file = self.inode is None or inode is None or self.inode == inode
        stamp = self.size_bytes, self.mtime_ns
        return is_same_file and stamp == (status.st_size, status.st_mtime_ns)


def _inode_of(status: os.stat_result) -> int | None:
    return status.st_ino or None  # 0: the file system has none


@dataclass(frozen=True, slots=True)
class Root:
    """A folder that the keys of images are counted from."""

    folder: bytes
    """Absolute, links resolved."""
    is_walked: bool
    """Else images of it were named one by one."""
    prefix: str
    """What the keys of its images begin with: nothing, or a name and `/`."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An image that was read, turned upright and resized for the model: decoded pixels."""

    ref: ImageRef
    sha: str
    """SHA-256 of the file's bytes, in hexadecimal."""
    pixels: Any
    """numpy uint8, shape (views, 3, S, S), RGB; S is the side of the model's square input."""
    width: int
    height: int
    tiles: tuple[Box, ...] = ()
    """The boxes of the views after the first, which is the whole image."""


@dataclass(frozen=True, slots=True)
class Question:
    """One prompt: a task's token, and the text that the task takes, if it takes one."""

    task: str
    text: str | None = None
    """A phrase or a caption; for a region its four location tokens."""
    region: Box | None = None
    """The region that it asks about, in pixels; exactly, where `text` has rounded locations."""
    label: str | None = None
    """What is known to be in the region."""
    view: Box | None = None
    """The tile that it is asked of; None for the whole image. Locations are within it."""


class TokenKind(IntEnum):
    """What kind a generated token is; its spelling alone does not tell a printed `<loc_5>`."""

    TEXT = 0
    LOCATION = 1
    CONTROL = 2


SPREAD_RANGES = (
    *((-126, -63), (-62, -31), (-30, -15), (-14, -7), (-6, -3), (-2, -1)),
    (0, 0),
    *((1, 2), (3, 6), (7, 14), (15, 30), (31, 62), (63, 126)),
)
"""Ranges of location bins around a chosen one, first and last as differences to it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """All that the model wrote in answer to a question. Parsing it needs no tokenizer.

    Token i is `data[ends[i - 1]:ends[i]]`, the first from 0. The start token and the forced `<s>`
    are left out, since the model never chose them; the closing `</s>` is there where it wrote one.
    """

    question: Question
    data: bytes
    ends: tuple[int, ...]
    kinds: tuple[TokenKind, ...]
    logprobs: tuple[float, ...]
    """Natural logarithm of the probability that the model gave to each token."""
    truncated: bool
    """Whether the token limit cut the answer short."""
    spreads: bytes = b""
    """For each location token, in 255ths, the part of its distribution that lies in each of
    SPREAD_RANGES; empty where that was not kept."""


@dataclass(frozen=True, slots=True)
class Record:
    """All that the model said about one image, in one attempt at it."""

    ref: ImageRef
    sha: str
    width: int
    height: int
    answers: tuple[Answer, ...]
    earlier: tuple[tuple[Answer, ...], ...] = ()
    """The answers of each earlier attempt at the same bytes, the oldest first."""


@dataclass(frozen=True, slots=True)
class Failure:
    """An image that could not be annotated, and why."""

    ref: ImageRef
    stage: str
    """Where it happened: `read`, `decode` or `annotate`."""
    kind: str
    """A short stable name, such as `truncated` or `out-of-memory`."""
    message: str


Loaded = Picture | Failure


class Evidence(NamedTuple):
    """What the model said of how sure it is of an instance; its score is made of it."""

    label_logprobs: tuple[float, ...]
    """Natural logarithms of the probabilities of its label's tokens."""
    location_logprobs: tuple[float, ...]
    """The same of all its location tokens."""
    edges: tuple[int, ...]
    """The bins of its box: x1, y1, x2, y2."""
    spreads: bytes
    """Of each edge 13 bytes; see `Answer.spreads`. Empty where they were not kept."""


@dataclass(frozen=True, slots=True)
class Instance:
    """One object that the model pointed at."""

    label: str
    """As the model wrote it, or the phrase that was asked for."""
    score: float
    """How sure the model is of it, in [0, 1]; see `answers.scores`."""
    box: Box
    task: str
    """The token of the task whose answer it comes from."""
    polygons: tuple[Polygon, ...] = ()
    quad: Polygon = ()
    """Four points around printed text, clockwise from its upper left."""
    text: str | None = None
    """What is printed there, or a description."""
    view: Box | None = None
    """The tile in which it was seen; None for the whole image."""
    evidence: Evidence | None = field(default=None, compare=False)
    """What its score is made of; None where it was not read from locations."""


@dataclass(frozen=True, slots=True)
class KeptInstance(Instance):
    """An instance that the policy keeps, of a class."""

    class_id: int = field(kw_only=True)

    @classmethod
    def of(cls, instance: Instance, class_id: int, box: Box | None = None) -> Self:
        """The instance with its class; `box` is the part of its own that lies within the image."""
        return cls(
            instance.label,
            instance.score,
            box or instance.box,
            instance.task,
            instance.polygons,
            instance.quad,
            instance.text,
            instance.view,
            instance.evidence,
            class_id=class_id,
        )


@dataclass(frozen=True, slots=True)
class Caption:
    """A text about the whole image."""

    task: str
    """The token of its task; where a dataset joins several texts, their names with commas."""
    text: str
    score: float
    """Geometric mean of the probabilities of its tokens, in [0, 1]; of several the lowest."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """Something that the model said and the dataset leaves out."""

    label: str
    score: float
    box: Box | None
    reason: Reason
    detail: str = ""
    instance: Instance | None = field(default=None, compare=False, repr=False)
    """What was left out, of its class where it got that far; None where it could not be read."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The instances and captions in the answers about one image."""

    instances: tuple[Instance, ...]
    captions: tuple[Caption, ...]
    dropped: tuple[Dropped, ...]
    """Parts of answers that could not be read as an instance."""


MOST_BEAMS = 64
"""Of a search, whoever asks for them."""


@dataclass(frozen=True, slots=True)
class Generation:
    """The settings of text generation that change the answers."""

    max_new_tokens: int
    """The longest answer; the forced first token is none of them."""
    num_beams: int
    """Of the search; 1 is greedy."""
    no_repeat_ngram: int
    """The same so many tokens in a row may not come twice in an answer; 0: they may."""
    retry_truncated: bool
    """An answer that reaches the limit goes on to twice of it."""
    constrain: Literal["off", "form", "labels"] = "off"
    """`form` holds answers to the form of their task; `labels` also holds `<OD>` to `labels`."""
    labels: tuple[str, ...] = ()
    keep_spreads: bool = True
    """Answers say how sure each location is."""
    for_text: "Generation | None" = None
    """The settings for tasks whose answers are text, where they have some of their own."""

    @classmethod
    def of_kinds(cls, locations: "Generation", text: "Generation") -> "Generation":
        """For tasks with locations, and for tasks with text."""
        return locations if text == locations else replace(locations, for_text=text)

    def shortened(self, max_new_tokens: int) -> "Generation":
        """For answers of at most so many tokens, of which none is asked again."""
        text = self.for_text and self.for_text.shortened(max_new_tokens)
        return replace(self, max_new_tokens=max_new_tokens, retry_truncated=False, for_text=text)


class Answering(Protocol):
    """Questions that are being answered, and those that wait for it."""

    @property
    def free(self) -> int:
        """How many more questions could be answered at once; negative where some wait."""

    def ask(self, ticket: int, features: Any, question: Question) -> None:
        """Queue a question about the view with these features; `ticket` returns with its answer."""

    def answers(self) -> list[tuple[int, Answer]]:
        """Wait for the next answers, with their tickets; empty where no question is left."""


class Model(Protocol):
    """What the annotator needs of a checkpoint."""

    image_size: int

    def encode(self, pixels: Sequence[Any]) -> Iterable[Any]:
        """The features of views, one item each, in their order; only the model looks into them.

        A view is a numpy array of uint8, shape (3, S, S), S being `image_size`.
        """

    def problem(self, question: Question) -> str | None:
        """Why a question can't be asked, in words for the user; None where it can."""

    def answering(self, generation: Generation, rows: int) -> Answering:
        """A queue of questions, of which `rows` are answered at a time."""


class Recipe(Protocol):
    """Which questions a job asks about an image.

    What the answers mean does not depend on the recipe: see `answers.reading`.
    """

    def first(self, picture: Picture) -> Sequence[Question]:
        """The questions that are asked once the image is encoded."""

    def then(self, record: Record) -> Sequence[Question]:
        """The questions that follow from all answers so far; none when the image is done."""


class Engine(Protocol):
    """What turns refs into records: one annotator on a device, or several."""

    @property
    def seconds_waiting(self) -> float:
        """How long the device has waited for images to be read, so far."""

    def run(self, refs: Iterable[ImageRef]) -> Iterator[list[Record | Failure]]:
        """Annotate images; yields some outcomes at a time, exactly one for each ref in the end.

        It may yield none, so that the caller can stop while outcomes take long.
        """
