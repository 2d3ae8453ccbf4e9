"""Images a second a core from files to the model's pixels, and where the time goes.

    python -m benchmarks.loading
    python -m benchmarks.loading --beside PYTHON      # also by another Pillow, as pillow-simd

Photographs are made, since none come with the package: a painted scene, resized, under noise in
eight octaves, so strong that a JPEG of quality 90 (4:2:0) has the two to three bits a pixel of a
camera's. Of each size, as JPEG and as PNG, the stages of reading are timed one by one, and each
contestant decodes and resizes to the base model's square. All is processor time of one thread,
which other work on the machine changes least, the median of turns that the contestants take one
after the other. What a contestant's pixels differ by is counted after decoding and after resizing.

SimpleJPEG, PyTurboJPEG and OpenCV take part where they are installed (`pip install simplejpeg
PyTurboJPEG opencv-python-headless`; the second needs the library of libjpeg-turbo itself). PYTHON
is an interpreter of an environment with this package and another build of Pillow.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.decoders import Decoder, contestants, installed
from benchmarks.measuring import parser, save
from benchmarks.random_models import SIDE
from florence_annotate.images import codec, loading, resizing
from florence_annotate.images.loading import LoadingOptions
from florence_annotate.images.shared_memory import Handover
from florence_annotate.model.memory import keep_freed_memory
from florence_annotate.shapes.scenes import paint
from florence_annotate.types import ImageRef, Picture

SIZES = {"12 MP": (4000, 3000), "2 MP": (1920, 1080), "0.3 MP": (640, 480)}
RATE = 1330
"""Images a second of a GPU that reaches its roofline on the base model."""
TURNS = 9


def main() -> None:
    options = parser("loading", __doc__)
    options.add_argument("--beside", type=Path, action="append", default=[], metavar="PYTHON")
    options.add_argument("--turns", type=int, default=TURNS)
    options.add_argument("--alone", nargs=2, type=Path, help="what PYTHON is started with")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()  # as in a job, whose readers have it from there
    if chosen.alone:
        file, folder = chosen.alone
        alone(file, folder, chosen.turns)
        return
    rows = {}
    with TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            for kind in ("JPEG", "PNG"):
                file = Path(folder) / f"{name}.{kind.lower()}"
                photograph(*size).save(file, quality=90)
                rows[f"{name} {kind}"] = measure(file, chosen.turns, chosen.beside)
                show(f"{name} {kind}", rows[f"{name} {kind}"])
    command = " ".join(["python -m benchmarks.loading", *(f"--beside {p}" for p in chosen.beside)])
    save("loading", command, {"rate": RATE, "side": SIDE, "decoders": installed(), "images": rows})


def photograph(width: int, height: int) -> Image.Image:
    scene = paint(4_000_000).image.resize((width, height), Image.Resampling.BICUBIC)
    grain = np.random.default_rng(0)
    noise = np.zeros((height, width), np.float32)
    for octave in range(8):
        shape = max(2, height >> octave), max(2, width >> octave)
        layer = Image.fromarray(grain.standard_normal(shape, np.float32))
        layer = layer.resize((width, height), Image.Resampling.BICUBIC)
        noise += 4.5 * 1.3**octave * np.asarray(layer)
    pixels = np.asarray(scene) + noise[..., None]
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


def measure(file: Path, turns: int, beside: list[Path]) -> dict[str, Any]:
    """Milliseconds of each stage, and the contestants."""
    data = file.read_bytes()
    with Image.open(file) as image:
        pixels = image.width * image.height
    stages = medians(stages_of(file, data), turns)
    around = sum(stages[name] for name in ("read", "hash", "hand over"))
    decoders = contestants(data, SIDE)
    reference = next(iter(decoders.values()))
    whole, square = _arrays(reference)
    rows = {}
    for name, (decode, resize) in timed(decoders, turns).items():
        found = _arrays(decoders[name])
        rows[name] = _row(decode, resize, around, whole, square, *found)
    for python in beside:
        with TemporaryDirectory() as folder:
            command = [str(python), "-m", "benchmarks.loading", "--turns", str(turns)]
            subprocess.run([*command, "--alone", str(file), folder], check=True)
            other: Any = np.load(Path(folder) / "found.npz")
            decode, resize = other["times"]
            rows[str(other["name"])] = _row(
                decode, resize, around, whole, square, other["whole"], other["square"]
            )
    return {
        "bytes": len(data),
        "bits a pixel": 8 * len(data) / pixels,
        "milliseconds of a stage": stages,
        "the job's own process, images a second at most": 1e3
        / (stages["take over"] + stages["stack"]),
        "decoders": rows,
    }


def stages_of(file: Path, data: bytes) -> dict[str, Callable[[], object]]:
    """What a reader does one after the other, and then the job's own process."""
    ref = ImageRef(file.name, bytes(file), len(data), 0)
    options = LoadingOptions(SIDE, 1, 0)
    image = codec.decode(data)
    loaded = loading.decode(ref, data, options)
    assert isinstance(loaded, Picture)
    handover = Handover(1, 1, 1, SIDE)
    handover.put(0, [loaded])
    stacked = np.empty_like(loaded.pixels)
    return {
        "read": lambda: codec.read_bytes(ref.path),
        "hash": lambda: codec.digest(data),
        "decode": lambda: codec.decode(data),
        "resize": lambda: resizing.model_pixels(image, SIDE),
        "hand over": lambda: handover.put(0, [loaded]),
        "take over": lambda: handover.take(0, [ref]),
        "stack": lambda: np.stack([loaded.pixels[0]], out=stacked),
        "all, exact": lambda: handover.put(0, [loading.load(ref, options)]),
    }


def medians(runs: Mapping[str, Callable[[], object]], turns: int) -> dict[str, float]:
    """Milliseconds of processor time; the runs take turns, the first of which warms up."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(turns + 1):
        for name, run in runs.items():
            seconds = processor_time(run)
            if turn:
                taken[name].append(seconds)
    return {name: 1e3 * median(each) for name, each in taken.items()}


def timed(decoders: Mapping[str, Decoder], turns: int) -> dict[str, tuple[float, float]]:
    """Milliseconds for decoding and resizing."""
    decoded = {name: decoder.decode() for name, decoder in decoders.items()}
    runs: dict[str, Callable[[], object]] = {}
    for name, decoder in decoders.items():
        runs[f"{name}/decode"] = decoder.decode
        runs[f"{name}/resize"] = lambda d=decoder, i=decoded[name]: d.resize(i)  # type: ignore[misc]
    found = medians(runs, turns)
    return {name: (found[f"{name}/decode"], found[f"{name}/resize"]) for name in decoders}


def processor_time(run: Callable[[], object]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


def _arrays(decoder: Decoder) -> tuple[np.ndarray, np.ndarray]:
    image = decoder.decode()
    return np.asarray(image), decoder.resize(image)


def _row(
    decode: float, resize: float, around: float, whole: Any, square: Any, found: Any, made: Any
) -> dict[str, Any]:
    rate = 1e3 / (around + decode + resize)
    return {
        "decode": float(decode),
        "resize": float(resize),
        "images a second a core": float(rate),
        "cores for a GPU": float(RATE / rate),
        "difference decoded": _difference(whole, found) if whole.shape == found.shape else None,
        "difference resized": _difference(square, made),
    }


def _difference(one: Any, other: Any) -> dict[str, float]:
    apart = np.abs(one.astype(np.int16) - other)
    return {
        "most": int(apart.max()),
        "mean": float(apart.mean()),
        "share": float((apart > 0).mean()),
    }


def alone(file: Path, folder: Path, turns: int) -> None:
    """The first contestant, in an interpreter with another Pillow."""
    name, decoder = next(iter(contestants(file.read_bytes(), SIDE).items()))
    (times,) = timed({name: decoder}, turns).values()
    whole, square = _arrays(decoder)
    label = f"the same by Pillow of {Path(sys.prefix).name}"
    np.savez(folder / "found.npz", name=label, times=times, whole=whole, square=square)


def show(name: str, row: Mapping[str, Any]) -> None:
    stages = ", ".join(f"{k} {v:.2f}" for k, v in row["milliseconds of a stage"].items())
    print(f"\n{name}, {row['bits a pixel']:.1f} bits a pixel; ms: {stages}")
    most = row["the job's own process, images a second at most"]
    print(f"the job's own process takes over and stacks {most:.0f} images/s at most")
    print(f"{'':44} decode  resize  images/s  cores  most, mean, share of values that differ")
    for decoder, each in row["decoders"].items():
        differ = (each["difference decoded"], each["difference resized"])
        told = "; ".join(
            f"{d['most']}, {d['mean']:.3f}, {d['share']:.2%}" if d else "another size"
            for d in differ
        )
        print(
            f"{decoder:44} {each['decode']:6.1f}  {each['resize']:6.1f}  "
            f"{each['images a second a core']:8.1f}  {each['cores for a GPU']:5.0f}  {told}",
            flush=True,
        )


if __name__ == "__main__":
    main()
