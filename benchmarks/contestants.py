"""What a user would run instead, and ours: from image files to answers.

Each takes image files and task prompts, asks every prompt of every image, and returns the
number of tokens written. All read the same checkpoint folder.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from PIL import Image
from torch.utils.data import DataLoader
from transformers import Florence2ForConditionalGeneration, Florence2Processor

from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.engines.annotator import Annotator
from florence_annotate.images.loading import LoadingOptions, default_workers, load_batches
from florence_annotate.model.device import resolve_attention
from florence_annotate.model.florence import Florence
from florence_annotate.questions.asking import AskAll
from florence_annotate.types import Generation, ImageRef, Question, Record


class Library:
    """transformers, as its documentation and the model card use it."""

    def __init__(self, folder: Path, device: str, dtype: torch.dtype) -> None:
        self.processor = Florence2Processor.from_pretrained(folder)
        self.model = (
            Florence2ForConditionalGeneration.from_pretrained(folder, dtype=dtype).to(device).eval()
        )
        self.device, self.dtype = device, dtype

    @torch.inference_mode()
    def guide(
        self, files: Sequence[Path], questions: Sequence[Question], *, beams: int, tokens: int
    ) -> int:
        """The guides' loop: one image and one prompt at a time."""
        written = 0
        for file in files:
            image = Image.open(file).convert("RGB")
            for question in questions:
                written += self._generate([image], question, beams, tokens)
        return written

    @torch.inference_mode()
    def batched(
        self,
        files: Sequence[Path],
        questions: Sequence[Question],
        *,
        beams: int,
        tokens: int,
        batch_size: int,
    ) -> int:
        """`generate` on batches of images from a DataLoader, a prompt at a time."""
        loader = DataLoader(
            _Pictures(files),
            batch_size=batch_size,
            collate_fn=list,
            num_workers=min(default_workers(), len(files)),
        )
        written = 0
        for question in questions:
            for images in loader:
                written += self._generate(images, question, beams, tokens)
        return written

    def _generate(
        self, images: Sequence[Image.Image], question: Question, beams: int, tokens: int
    ) -> int:
        prompt = question.task + (question.text or "")
        inputs = self.processor(
            text=[prompt] * len(images), images=list(images), return_tensors="pt"
        ).to(self.device, self.dtype)
        ids = self.model.generate(
            **inputs, max_new_tokens=tokens, num_beams=beams, do_sample=False,
            no_repeat_ngram_size=0 if beams == 1 else 3,
        )  # fmt: skip
        self.processor.batch_decode(ids, skip_special_tokens=False)
        return int((ids != 1).sum()) - len(ids)


class _Pictures(torch.utils.data.Dataset[Image.Image]):
    def __init__(self, files: Sequence[Path]) -> None:
        self._files = files

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Image.Image:
        return Image.open(self._files[index]).convert("RGB")


class Ours:
    """This package: the rooms that a job goes through, without journal and export."""

    def __init__(
        self,
        folder: Path,
        device: str,
        dtype: torch.dtype,
        workers: int | None = None,
        attention: str = "auto",
    ) -> None:
        """`workers` read images; by default as many as a job would have.

        Raises DeviceError for an `attention` that this machine lacks.
        """
        self.workers = default_workers() if workers is None else workers
        checkpoint = checkpoints.find(str(folder))
        kernel = resolve_attention(attention, torch.device(device), dtype, print)
        self.model = Florence(checkpoint, torch.device(device), dtype, kernel)

    def run(
        self,
        files: Sequence[Path],
        questions: Sequence[Question],
        *,
        beams: int,
        tokens: int,
        batch_size: int,
    ) -> int:
        written = 0
        for record in self.records(files, questions, beams, tokens, batch_size):
            written += sum(len(answer.ends) + 2 for answer in record.answers)
        return written

    def records(
        self,
        files: Sequence[Path],
        questions: Sequence[Question],
        beams: int,
        tokens: int,
        batch_size: int,
    ) -> Iterator[Record]:
        """The records as they get ready."""
        generation = Generation(tokens, beams, 0 if beams == 1 else 3, retry_truncated=False)
        annotator = Annotator(self.model, AskAll(tuple(questions)), generation, batch_size)
        return self._records(annotator, files, batch_size)

    def answers(
        self,
        files: Sequence[Path],
        questions: Sequence[Question],
        generation: Generation,
        rows: int,
    ) -> dict[str, tuple[bytes, ...]]:
        """What was written about each image."""
        annotator = Annotator(self.model, AskAll(tuple(questions)), generation, rows)
        return {
            record.ref.key: tuple(answer.data for answer in record.answers)
            for record in self._records(annotator, files, rows)
        }

    def _records(
        self, annotator: Annotator, files: Sequence[Path], batch_size: int
    ) -> Iterator[Record]:
        options = LoadingOptions(self.model.image_size, batch_size, self.workers)
        refs = [ImageRef(str(file), bytes(file), file.stat().st_size, 0) for file in files]
        for outcomes in annotator.annotate(load_batches(refs, options)):
            for outcome in outcomes:
                if not isinstance(outcome, Record):
                    raise RuntimeError(outcome)
                yield outcome


def paint_files(folder: Path, count: int, size: tuple[int, int] = (640, 480)) -> list[Path]:
    """Painted JPEGs of one size."""
    from florence_annotate.shapes.scenes import paint

    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / f"{i:04}.jpg" for i in range(count)]
    for seed, file in enumerate(files, 4_000_000):
        if not file.exists():
            paint(seed).image.resize(size).save(file, quality=90)
    return files
