"""Hold a checkpoint's answers to those of transformers: the first thing to run on a new one.

Asks all 15 tasks about each image, in one process: with this package, and with transformers' own
processor, `generate` and post-processing, under the checkpoint's own settings of generation.
Compared are the model's pixels, the prompt's tokens, the answer's tokens, and what is read out of
the same answer. Prints a table, with the reason for whatever differs.

Tokens may differ where two were equally probable, up to rounding. Whether that is all is decided
in float64, on the same pixels. Ends with code 1 where tokens still differ there, and where prompts
do.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from transformers.utils import logging

from benchmarks.contestants import paint_files
from benchmarks.measuring import add_cache, parser, save
from benchmarks.reading import ours_read, theirs_read, why_readings_differ
from benchmarks.reference import Prepared, Reference
from florence_annotate import tasks
from florence_annotate.answers import parsing
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.errors import FlorenceAnnotateError, UsageError
from florence_annotate.images import codec, resizing
from florence_annotate.images.sources import Sources
from florence_annotate.model import threads
from florence_annotate.model.device import resolve_device
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import about_region
from florence_annotate.tasks import Takes
from florence_annotate.types import Answer, Generation, Question

_PAINTED = 4
_CENTRE = (0.25, 0.25, 0.75, 0.75)
"""The region that is asked about, as shares of width and height."""


@dataclass
class Compared:
    """How often the two agreed about a task, and why not."""

    asked: int = 0
    prompts: int = 0
    tokens: int = 0
    ties: int = 0
    """Answers whose tokens agree in float64 alone."""
    readings: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def is_faithful(self) -> bool:
        return self.prompts == self.asked and self.tokens + self.ties == self.asked


@dataclass(frozen=True)
class Seen:
    """An image, and its pixels as each side makes them."""

    image: Image.Image
    ours: np.ndarray
    """uint8, (3, S, S)."""


class Trial:
    """One checkpoint, loaded by both."""

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, tokens: int
    ) -> None:
        self.checkpoint, self.device, self.tokens = checkpoint, device, tokens
        self.reference = Reference(checkpoint, device, dtype)
        self.model = Florence(checkpoint, device, dtype, "sdpa")
        self._exact: tuple[Reference, Florence] | None = None
        self.levels = 0
        """The largest difference between two pixels, of 255 levels."""
        self.pixels = Counter[bool]()
        """How many pixels, times channels, differ and do not."""

    def questions(self, seen: Seen) -> Iterator[Question]:
        """All tasks, about what the model itself says of the image."""
        width, height = seen.image.size
        caption = self._text(self._ask(self.model, seen, Question(tasks.CAPTION)))
        found, _ = parsing.parse(self._ask(self.model, seen, Question(tasks.OD)), width, height)
        phrase = found[0].label if found else ""
        x1, y1, x2, y2 = _CENTRE
        region = (x1 * width, y1 * height, x2 * width, y2 * height)
        for task in tasks.TASKS:
            if task.takes is Takes.REGION:
                yield about_region(task.token, region, width, height)
            elif task.takes is Takes.TEXT:
                question = Question(task.token, phrase if task.takes_one_phrase else caption)
                # random weights say what no prompt has room for
                is_askable = question.text and not self.model.problem(question)
                yield question if is_askable else Question(task.token, "an object")
            else:
                yield Question(task.token)

    def compare(self, seen: Seen, question: Question, compared: Compared) -> None:
        """Ask both, and count where they agree."""
        prepared = self.reference.prepare(seen.image, question)
        self._compare_pixels(seen, prepared)
        compared.asked += 1
        prompt = self.model.vocabulary.prompt_ids(tasks.prompt(question))
        compared.prompts += prompt == prepared.prompt
        if prompt != prepared.prompt:
            compared.reasons["the prompt's tokens differ"] += 1
        answer = self._ask(self.model, seen, question)
        ids = self._generate(self.reference, prepared)
        if self._pieces(answer) == self._spell(ids):
            compared.tokens += 1
        elif reason := self._reason(seen, question, prepared):
            compared.ties += 1
            compared.reasons[reason] += 1
        else:
            compared.reasons["the tokens differ, in float64 too"] += 1
        self._compare_readings(seen, question, ids, compared)

    def _compare_pixels(self, seen: Seen, prepared: Prepared) -> None:
        images = self.checkpoint.images
        mean, std = (torch.tensor(each)[:, None, None] for each in (images.mean, images.std))
        theirs = ((prepared.pixels[0].float().cpu() * std + mean) * 255).round().int()
        apart = (theirs - torch.from_numpy(seen.ours).int()).abs()
        self.levels = max(self.levels, int(apart.max()))
        differing = int((apart > 0).sum())
        self.pixels.update({True: differing, False: apart.numel() - differing})

    def _reason(self, seen: Seen, question: Question, prepared: Prepared) -> str | None:
        """Why tokens differ, where float64 on the same pixels shows no more than a tie."""
        reference, model = self._in_double_precision()
        images = self.checkpoint.images
        mean, std = (
            torch.tensor(each)[:, None, None].double() for each in (images.mean, images.std)
        )
        same = (torch.from_numpy(seen.ours).double() / 255 - mean) / std
        wanted = self._spell(self._generate(reference, Prepared(prepared.prompt, same[None])))
        if self._pieces(self._ask(model, seen, question)) != wanted:
            return None
        theirs = self._spell(self._generate(self.reference, Prepared(prepared.prompt, same[None])))
        is_by_pixels = theirs == self._pieces(self._ask(self.model, seen, question))
        return "pixels differ in a level" if is_by_pixels else "a tie: equal in float64"

    def _in_double_precision(self) -> tuple[Reference, Florence]:
        if self._exact is None:
            model = Florence(self.checkpoint, self.device, torch.float64, "sdpa")
            self._exact = self.reference.in_double_precision(), model
        return self._exact

    def _ask(self, model: Florence, seen: Seen, question: Question) -> Answer:
        own = self.checkpoint.generation
        generation = Generation(
            self.tokens, own.num_beams, own.no_repeat_ngram, retry_truncated=False
        )
        answering = model.answering(generation, 1)
        answering.ask(0, model.encode([seen.ours])[0], question)
        ((_, answer),) = answering.answers()
        return answer

    def _generate(self, reference: Reference, prepared: Prepared) -> list[int]:
        own = self.checkpoint.generation
        return reference.generate(prepared, own.num_beams, own.no_repeat_ngram, self.tokens)

    def _pieces(self, answer: Answer) -> list[bytes]:
        starts = (0, *answer.ends[:-1])
        said = [answer.data[a:b] for a, b in zip(starts, answer.ends, strict=True)]
        # the end that is forced at the limit is no part of an answer here
        return said[:-1] if said and said[-1] == b"</s>" else said

    def _spell(self, ids: list[int]) -> list[bytes]:
        decoding = self.checkpoint.generation.decoding
        said = ids[2:]
        if decoding.end in said:
            said = said[: said.index(decoding.end)]
        return [self.model.vocabulary.token_bytes(token) for token in said]

    @staticmethod
    def _text(answer: Answer) -> str:
        return parsing.parse_text(answer)[0]

    def _compare_readings(
        self, seen: Seen, question: Question, ids: list[int], compared: Compared
    ) -> None:
        """Read one answer, that of transformers, in both ways."""
        width, height = seen.image.size
        decoding = self.checkpoint.generation.decoding
        said = ids[2:]
        pieces = [self.model.vocabulary.token_bytes(token) for token in said]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=int).tolist()
        kinds = tuple(self.model.vocabulary.kind(token) for token in said)
        truncated = not said or said[-1] != decoding.end
        answer = Answer(
            question, b"".join(pieces), tuple(ends), kinds, (0.0,) * len(said), truncated
        )
        ours = ours_read(answer, width, height)
        theirs = theirs_read(question, self.reference.parse(ids, question, (width, height)))
        if ours == theirs:
            compared.readings += 1
        else:
            cut = "an answer was cut short: " if truncated else ""
            compared.reasons[cut + why_readings_differ(ours, theirs)] += 1


def _see(path: bytes, side: int) -> Seen:
    image = codec.decode(codec.read_bytes(path))
    return Seen(image, resizing.model_pixels(image, side)[0])


def _table(rows: dict[str, Compared]) -> Iterator[str]:
    yield "| task | asked | prompts | tokens | ties | read alike | why not |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for task, row in rows.items():
        why = "; ".join(f"{reason} ({count})" for reason, count in row.reasons.items())
        yield (
            f"| `{task}` | {row.asked} | {row.prompts} | {row.tokens} | {row.ties} | "
            f"{row.readings} | {why} |"
        )


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser("fidelity", __doc__)
    options.add_argument("model", help="a short name, a hub id or a folder")
    options.add_argument("--revision", help="branch, tag or commit on the hub")
    options.add_argument("--adapter", help="a LoRA adapter: a folder or a hub id")
    options.add_argument("--images", help="a folder of images [default: a few painted ones]")
    options.add_argument("--limit", type=int, default=16, help="images [default: %(default)s]")
    options.add_argument("--device", default="auto", help="auto, cpu, cuda:0 [default: auto]")
    options.add_argument("--dtype", default="float32", choices=("float32", "bfloat16", "float16"))
    options.add_argument("--tokens", type=int, default=128, help="longest answer [default: 128]")
    options.add_argument("--save", metavar="NAME", help="keep the table in benchmarks/results")
    add_cache(options)
    chosen = options.parse_args(arguments)

    logging.set_verbosity_error()
    checkpoint = checkpoints.find(chosen.model, chosen.revision, adapter=chosen.adapter)
    device = resolve_device(chosen.device)
    threads.settle("auto", checkpoint)
    print(f"{checkpoint.name}, layout {checkpoint.layout.name}, on {device} in {chosen.dtype}")
    print(f"its own settings: {checkpoint.generation}", flush=True)
    if chosen.images:
        refs = iter(Sources((chosen.images,), codec.SUFFIXES))
        files = [ref.path for ref, _ in zip(refs, range(chosen.limit), strict=False)]
    else:
        count = min(chosen.limit, _PAINTED)
        files = [bytes(file) for file in paint_files(chosen.cache / "scenes", count)]
    if not files:
        raise UsageError("there is no image to ask about: give --images a folder that has some")
    trial = Trial(checkpoint, device, getattr(torch, chosen.dtype), chosen.tokens)
    rows = {task.token: Compared() for task in tasks.TASKS}
    for number, file in enumerate(files, 1):
        seen = _see(file, checkpoint.image_size)
        for question in list(trial.questions(seen)):
            trial.compare(seen, question, rows[question.task])
        print(f"{number} of {len(files)} images", flush=True)
    table = list(_table(rows))
    share = trial.pixels[True] / max(1, trial.pixels.total())
    pixels = f"pixels: {share:.2%} differ, by {trial.levels} of 255 levels at most"
    print("\n".join([*table, pixels]))
    if chosen.save:
        command = f"python -m benchmarks.fidelity {chosen.model}"
        save(f"fidelity-{chosen.save}", command, {"table": table, "pixels": pixels})
    return 0 if all(row.is_faithful for row in rows.values()) else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except FlorenceAnnotateError as error:
        sys.exit(f"error: {error}")
