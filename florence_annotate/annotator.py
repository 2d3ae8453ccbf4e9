"""Model + recipe: pictures in, records out. Out of memory halves the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from florence_annotate.types import (
    Answer,
    Failure,
    Generation,
    Model,
    Picture,
    Question,
    Recipe,
    Record,
)

_SIGNS = ("can't allocate memory", "not enough memory", "could not create a primitive")
"""How the CPU's allocator and oneDNN, which have no exception of their own, say it."""


@dataclass(slots=True)
class Annotator:
    """Encodes each picture once and asks all questions of the recipe about it.

    `batch_size` bounds the questions that are answered at once. When memory runs out, it is halved
    for the rest of the job.
    """

    model: Model
    recipe: Recipe
    generation: Generation
    batch_size: int

    def annotate(self, pictures: Sequence[Picture]) -> list[Record | Failure]:
        """One record or failure a picture, in their order."""
        outcomes: list[Record | Failure] = []
        pending = list(pictures)
        while pending:
            batch = pending[: self.batch_size]
            try:
                outcomes += self._ask_all(batch)
            except (MemoryError, RuntimeError) as error:  # CUDA's own is a RuntimeError too
                if not _is_out_of_memory(error):
                    raise
                reason = (str(error) or "out of memory").strip().splitlines()[0]
            else:
                del pending[: len(batch)]
                continue
            # outside of the handler, so that the failed batch's tensors are gone
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            if self.batch_size > 1:
                self.batch_size = max(1, min(self.batch_size, len(batch)) // 2)
                continue
            ref = pending.pop(0).ref
            message = f"not enough memory on the device for this picture alone: {reason}"
            outcomes.append(Failure(ref, "annotate", "out-of-memory", message))
        return outcomes

    def _ask_all(self, pictures: Sequence[Picture]) -> list[Record | Failure]:
        features = self.model.encode(pictures)
        asked: list[tuple[int, Question]] = [
            (index, question)
            for index in range(len(pictures))
            for question in self.recipe.questions
        ]
        answers: list[Answer] = []
        for start in range(0, len(asked), self.batch_size):
            batch = asked[start : start + self.batch_size]
            answers += self.model.answer(features, batch, self.generation)
        each = len(self.recipe.questions)
        return [
            Record(
                picture.ref,
                picture.sha,
                picture.width,
                picture.height,
                tuple(answers[place * each : (place + 1) * each]),
            )
            for place, picture in enumerate(pictures)
        ]


def _is_out_of_memory(error: BaseException) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return any(sign in str(error) for sign in _SIGNS)
