"""One large GPU: images a second, and what share of the card that is.

    python -m benchmarks.gpu [--smoke] [--cache FOLDER]

Random weights of the public sizes, bfloat16, answers of forced length: 64 tokens as for `<OD>`, 128
as for a caption; one beam and three; a sweep of batch sizes; the model alone, and end to end from
JPEG files; float16 and each attention kernel beside it, the guides' loop and transformers in
batches; and what the automatic batch size foresees, against what the longest answers then take. The
card's ceilings are measured first. `--smoke` runs the same code in small, on whatever is there.
Whether the answers are right is for `python -m pytest tests/end_to_end/test_cuda.py`.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from benchmarks import counting
from benchmarks.contestants import Library, Ours, paint_files
from benchmarks.measuring import add_cache, parser, save, synchronise
from benchmarks.random_models import checkpoint_folder
from florence_annotate.engines.batch_size import fitting_batch_size
from florence_annotate.errors import DeviceError
from florence_annotate.tasks import OD
from florence_annotate.types import Generation, Question

QUESTION = Question(OD)
BARS = {"base": 600.0, "large": 180.0, "transformers batched": 5.0, "guide": 40.0}


@dataclass(frozen=True)
class Plan:
    """How much is measured."""

    sizes: tuple[str, ...] = ("base", "large")
    answers: tuple[tuple[int, int], ...] = ((64, 1), (64, 3), (128, 1), (128, 3))
    batches: tuple[int, ...] = (16, 64, 128)
    rounds: int = 4
    files: int = 512
    passes: int = 4
    library_batch: int = 32
    guide_files: int = 4
    matrix: int = 8192
    longest: int = 1024


SMOKE = Plan(("base",), ((4, 1), (4, 2)), (2,), 1, 4, 2, 2, 1, 512, 8)
VARIANTS = (
    (torch.bfloat16, "sdpa"),
    (torch.bfloat16, "flash_attention_2"),
    (torch.float16, "sdpa"),
    (torch.float32, "sdpa"),
)


class Card:
    """The device, and what it can do at most."""

    def __init__(self, matrix: int) -> None:
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        a = torch.randn(matrix, matrix, device=self.device, dtype=torch.bfloat16)
        self.macs = matrix**3 / _best(lambda: a @ a)
        block = torch.zeros(matrix**2 * 8, device=self.device, dtype=torch.uint8)
        other = torch.empty_like(block)
        self.bytes = 2 * len(block) / _best(lambda: other.copy_(block))
        print(f"ceilings: {self.macs * 2 / 1e12:.0f} TFLOP/s, {self.bytes / 1e9:.0f} GB/s")

    def least_seconds(self, network: Any, batch: int, tokens: int, beams: int) -> float:
        """The roofline: products at the card's peak, decoder steps at its bandwidth."""
        text, vision = network.config.text_config, network.config.vision_config
        positions = counting.image_tokens(vision) + 12
        dense = counting.vision_macs(vision) + counting.encoder_macs(text, positions)
        step = counting.step_bytes(text, positions, batch, beams, tokens // 2, 2) / self.bytes
        arithmetic = batch * beams * counting.decoder_macs(text, positions) / self.macs
        return batch * dense / self.macs + tokens * max(step, arithmetic)


def _best(run: Callable[[], object]) -> float:
    times = []
    for _ in range(8):
        synchronise()
        began = time.perf_counter()
        run()
        synchronise()
        times.append(time.perf_counter() - began)
    return min(times)


def model_only(ours: Ours, batch: int, rounds: int, tokens: int, beams: int) -> None:
    """Pixels that lie on the device → answers, `rounds` batches through one queue."""
    model = ours.model
    side = model.image_size
    pixels = torch.randint(0, 256, (batch, 3, side, side), dtype=torch.uint8, device=model.device)
    generation = Generation(tokens, beams, 0, retry_truncated=False)
    answering = model.answering(generation, batch)
    asked = answered = 0
    while answered < batch * rounds:
        if asked < batch * rounds and answering.free > 0:
            for features in model.encode_pixels(pixels):
                answering.ask(asked, features, QUESTION)
                asked += 1
        answered += len(answering.answers())


def measure(card: Card, ours: Ours, batch: int, plan: Plan, tokens: int, beams: int) -> Any:
    """One line of the table."""
    model_only(ours, batch, 1, tokens, beams)  # warm-up: kernels are chosen, graphs captured
    if card.device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    synchronise()
    began = time.perf_counter()
    model_only(ours, batch, plan.rounds, tokens, beams)
    synchronise()
    seconds = (time.perf_counter() - began) / plan.rounds
    least = card.least_seconds(ours.model.network, batch, tokens, beams)
    row = {
        "batch": batch,
        "tokens": tokens,
        "beams": beams,
        "images a second": batch / seconds,
        "tokens a second": batch * tokens / seconds,
        "share of the roofline": least / seconds,
        "idle share": idle_share(ours, batch, tokens, beams) if card.device == "cuda" else None,
        "peak GiB": torch.cuda.max_memory_allocated() / 2**30 if card.device == "cuda" else None,
    }
    print("  " + ", ".join(f"{k} {v:.3g}" for k, v in row.items() if v is not None), flush=True)
    return row


def idle_share(ours: Ours, batch: int, tokens: int, beams: int) -> float:
    """The part of the time in which no kernel ran."""
    from torch.profiler import ProfilerActivity, profile

    synchronise()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        began = time.perf_counter()
        model_only(ours, batch, 1, tokens, beams)
        synchronise()
        seconds = time.perf_counter() - began
    busy = sum(event.self_device_time_total for event in profiler.key_averages()) / 1e6
    return max(0.0, 1 - float(busy) / seconds)


def automatic(card: Card, ours: Ours, longest: int) -> dict[str, Any]:
    """The batch size that is chosen, and the memory that it takes with the longest answers.

    Random weights give no others. The second batch is encoded while the caches of the first are
    there.
    """
    generation = Generation(longest, 3, 0, retry_truncated=False)
    batch = fitting_batch_size(ours.model, generation, [QUESTION])
    row: dict[str, Any] = {"batch": batch, "tokens": longest, "beams": 3}
    if card.device == "cuda":
        torch.cuda.empty_cache()
        row["free GiB"] = torch.cuda.mem_get_info()[0] / 2**30
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_reserved()
    model_only(ours, batch, 2, longest, 3)
    if card.device == "cuda":
        row["taken GiB"] = (torch.cuda.max_memory_reserved() - before) / 2**30
    print("  automatic: " + ", ".join(f"{k} {v:.3g}" for k, v in row.items()), flush=True)
    return row


def end_to_end(
    ours: Ours, files: list[Path], plan: Plan, batch: int, tokens: int
) -> dict[str, float]:
    """From JPEG files to answers: the readers' start, and images a second with and without it.

    The files are read several times over, since the start takes seconds.
    """
    read = files * plan.passes
    began = time.perf_counter()
    arrived = [time.perf_counter() for _ in ours.records(read, [QUESTION], 1, tokens, batch)]
    row = {
        "images": len(read),
        "seconds to the first answers": arrived[0] - began,
        "images a second": len(read) / (arrived[-1] - began),
        # records come by batches
        "images a second after the first batch": (len(read) - batch)
        / (arrived[-1] - arrived[batch - 1]),
    }
    print(
        "  end to end from JPEGs: " + ", ".join(f"{k} {v:.4g}" for k, v in row.items()), flush=True
    )
    return row


def variants(card: Card, folder: Path, plan: Plan, batch: int) -> dict[str, Any]:
    """The first line of the table in other number formats, and by each attention kernel."""
    tokens, beams = plan.answers[0]
    rows: dict[str, Any] = {}
    for dtype, attention in VARIANTS:
        name = f"{dtype} {attention}"
        print(f"  {name}")
        try:
            ours = Ours(folder, card.device, dtype, attention=attention)
        except DeviceError as error:
            rows[name] = str(error)
            print(f"  {error}")
            continue
        rows[name] = measure(card, ours, batch, plan, tokens, beams)
    return rows


def rate(run: Callable[[], object], images: int) -> float:
    run()
    synchronise()
    began = time.perf_counter()
    run()
    synchronise()
    return images / (time.perf_counter() - began)


def main() -> None:
    options = parser("gpu", __doc__)
    options.add_argument(
        "--smoke", action="store_true", help="few images and tokens, to see that all of it runs"
    )
    add_cache(options)
    given = options.parse_args()
    plan = SMOKE if given.smoke else Plan()
    card = Card(plan.matrix)
    files = paint_files(given.cache / "pictures", plan.files)
    content: dict[str, Any] = {
        "ceilings": {"TFLOP/s": card.macs * 2 / 1e12, "GB/s": card.bytes / 1e9},
        "bars": BARS,
    }
    for size in plan.sizes:
        print(size)
        folder = checkpoint_folder(size, given.cache)
        ours = Ours(folder, card.device, torch.bfloat16)
        rows = [
            measure(card, ours, batch, plan, tokens, beams)
            for tokens, beams in plan.answers
            for batch in plan.batches
        ]
        tokens = plan.answers[0][0]
        batch = max(rows[: len(plan.batches)], key=lambda row: row["images a second"])["batch"]
        from_files = end_to_end(ours, files, plan, batch, tokens)
        content[size] = {
            "model only": rows,
            "end to end": from_files,
            "automatic batch size": automatic(card, ours, plan.longest),
        }
        del ours
        if size == "base":
            content[size]["variants"] = variants(card, folder, plan, batch)
            content[size] |= peers(folder, card, files, plan, tokens)
    save(
        "gpu-smoke" if given.smoke else "gpu",
        f"python -m benchmarks.gpu{' --smoke' * given.smoke}",
        content,
    )


def peers(folder: Path, card: Card, files: list[Path], plan: Plan, tokens: int) -> dict[str, float]:
    """Images a second of what a user would run instead, as the guides print it."""
    library = Library(folder, card.device, torch.bfloat16)
    few, some = files[: plan.guide_files], files[: 2 * plan.library_batch]
    guide = rate(lambda: library.guide(few, [QUESTION], beams=3, tokens=tokens), len(few))
    batched = rate(
        lambda: library.batched(
            some, [QUESTION], beams=1, tokens=tokens, batch_size=plan.library_batch
        ),
        len(some),
    )
    print(f"  guide {guide:.2f}, transformers batched {batched:.2f} images/s", flush=True)
    return {"guide, 3 beams": guide, "transformers batched, 1 beam": batched}


if __name__ == "__main__":
    main()
