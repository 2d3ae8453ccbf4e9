"""Make a journal of each kind of job, its images, and what it exports: `make.py [NAME …]`.

The jobs are run by the installed version through the command. What is here was made by version
0.1.0 at commit 8444c46 and is never made again: later versions are held to it, and this program is
for a kind of job that is still missing.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageOps
from transformers import BartConfig, Florence2Config, Florence2ForConditionalGeneration
from transformers.models.florence2.configuration_florence2 import Florence2VisionConfig

from florence_annotate.shapes import CHECKPOINT
from florence_annotate.shapes.scenes import paint

HERE = Path(__file__).parent
IMAGES = HERE / "images"
TINY = HERE / "tiny-checkpoint"
REGIONS = HERE / "regions.json"
ADDED = HERE / "added.png"
"""The image that joins a job which goes on."""
TEXT_FORMATS = {".txt", ".xml", ".json", ".jsonl", ".yaml"}


def main(names: list[str]) -> None:
    if not IMAGES.exists():
        paint_images()
    if not REGIONS.exists():
        write_regions()
    if not TINY.exists():
        make_tiny_checkpoint()
    for name in names or list(JOBS):
        shutil.rmtree(HERE / name, ignore_errors=True)
        JOBS[name](HERE / name)
        keep(HERE / name)


def paint_images() -> None:
    (IMAGES / "below").mkdir(parents=True)
    first, second, third, fourth = (
        paint(seed).image for seed in (2_700_001, 2_700_018, 2_700_010, 2_700_012)
    )
    first.save(IMAGES / "plain.jpg", quality=85)
    exif = Image.Exif()
    exif[0x0112] = 6  # the viewer turns it a quarter clockwise
    second.rotate(90, expand=True).save(IMAGES / "turned.jpg", quality=85, exif=exif)
    frames = [image.resize((96, 96)).quantize(64) for image in (third, fourth)]
    frames[0].save(IMAGES / "below" / "moving.gif", save_all=True, append_images=frames[1:])
    ImageOps.contain(fourth, (200, 200)).save(IMAGES / "below" / "a b.png")
    (IMAGES / "broken.jpg").write_bytes((IMAGES / "plain.jpg").read_bytes()[:600])
    ImageOps.contain(paint(2_700_025).image, (160, 160)).save(ADDED)


def write_regions() -> None:
    """A few of what was painted, as a COCO file that a user might have."""
    named = {"plain.jpg": 2_700_001, "below/a b.png": 2_700_012}
    images = [{"id": i, "file_name": name} for i, name in enumerate(named)]
    boxes = []
    for number, (name, seed) in enumerate(named.items()):
        scene = paint(seed)
        factor = Image.open(IMAGES / name).width / scene.image.width
        for item in scene.objects[:3]:
            x1, y1, x2, y2 = (edge * factor for edge in item.box)
            box = [x1, y1, x2 - x1, y2 - y1]
            boxes.append({"image_id": number, "category_id": len(boxes) % 2, "bbox": box})
    categories = [{"id": 0, "name": "thing"}, {"id": 1, "name": "other thing"}]
    content = {"images": images, "annotations": boxes, "categories": categories}
    REGIONS.write_text(json.dumps(content, indent=1) + "\n")


def make_tiny_checkpoint() -> None:
    """Random weights, as small as Florence-2 can be, with the embedded tokenizer."""
    torch.manual_seed(1)
    config = json.loads((CHECKPOINT / "config.json").read_text())
    vision = Florence2VisionConfig(
        **{
            **config["vision_config"],
            "embed_dim": (8, 16, 16, 16),
            "num_heads": (1, 2, 2, 2),
            "num_groups": (1, 2, 2, 2),
            "projection_dim": 32,
        }
    )
    text = BartConfig(
        **{
            **config["text_config"],
            "d_model": 32,
            "encoder_ffn_dim": 32,
            "decoder_ffn_dim": 32,
            "encoder_layers": 1,
            "decoder_layers": 1,
            "encoder_attention_heads": 2,
            "decoder_attention_heads": 2,
            "max_position_embeddings": 256,
            "init_std": 0.5,
        }
    )
    network = Florence2ForConditionalGeneration(
        Florence2Config(
            text_config=text, vision_config=vision, image_token_id=config["image_token_id"]
        )
    )
    network.half().save_pretrained(TINY)
    for name in (
        "preprocessor_config.json",
        "processor_config.json",
        "tokenizer_config.json",
        "generation_config.json",
    ):
        shutil.copy(CHECKPOINT / name, TINY)
    tokenizer = json.loads((CHECKPOINT / "tokenizer.json").read_text())
    (TINY / "tokenizer.json").write_text(json.dumps(tokenizer, separators=(",", ":")))


def run(out: Path, *options: object, images: Path = IMAGES, model: object = "shapes") -> None:
    """One run of a job; images that can't be read are part of it."""
    arguments = ["run", images, "-o", out, "--model", model, "--dtype", "float32", *options]
    command = [sys.executable, "-m", "florence_annotate", *map(str, arguments)]
    done = subprocess.run([*command, "--workers", "0", "-q", "--max-failures", "1"], check=False)
    if done.returncode:
        raise SystemExit(f"{out.name} ended with {done.returncode}")


ALL_BOXES = "coco,coco-results,voc,labelme,label-studio,cvat,parquet,imagefolder,jsonl"


def boxes(out: Path) -> None:
    """Classes by their labels and by prompts, and images with several attempts at them."""
    options = ["--classes", "star,cross,ellipse,red rectangle,black triangle", "--nms", 0.7]
    options += ["--min-score", 0.02, "--format", f"yolo,{ALL_BOXES}"]
    with tempfile.TemporaryDirectory() as folder:
        images = Path(shutil.copytree(IMAGES, Path(folder) / "images"))
        run(out, "--limit", 2, *options, images=images)
        (images / "plain.jpg").write_bytes((images / "turned.jpg").read_bytes())
        run(out, *options, images=images)
        shutil.copyfile(IMAGES / "plain.jpg", images / "plain.jpg")
        os.utime(images / "below" / "a b.png", ns=(10**18, 10**18))
        run(out, "--retry-failed", *options, images=images)


def simple(*options: object) -> Callable[[Path], None]:
    return lambda out: run(out, *options)


def continued(*options: object) -> Callable[[Path], None]:
    generation = ["--constrain", "form", "--max-new-tokens", 24, "--no-retry-truncated"]
    return lambda out: run(out, *options, *generation, "--no-canary", model=TINY)


def regions(out: Path) -> None:
    run(out, "--task", "region-to-description", "--regions", REGIONS, "--format", FOR_REGIONS)


FOR_REGIONS = f"yolo,{ALL_BOXES}"
NAMES = "red star,blue cross,green ellipse,yellow rectangle,pink triangle,white star,black cross"

JOBS: dict[str, Callable[[Path], None]] = {
    "boxes": boxes,
    "masks": simple("--recipe", "instance-segmentation", "--format", f"yolo-seg,{ALL_BOXES}"),
    "text": simple("--task", "ocr-regions", "--format", f"yolo-obb,{ALL_BOXES}"),
    "captions": simple("--recipe", "describe", "--format", f"yolo,coco-captions,{ALL_BOXES}"),
    "grounding": simple("--recipe", "caption-grounding", "--format", "yolo,coco-captions,jsonl"),
    "tiles": simple("--tiles", "2x2", "--format", f"yolo,{ALL_BOXES}"),
    "regions": regions,
    "verify": simple(
        *("--classes", NAMES, "--recipe", "verify", "--strategy", "open-vocabulary"),
        *("--format", f"yolo,coco-captions,{ALL_BOXES}"),
    ),
    "continued-boxes": continued("--format", "yolo,coco,jsonl"),
    "continued-masks": continued(
        "--recipe", "instance-segmentation", "--num-beams", 2, "--format", "yolo-seg,coco,jsonl"
    ),
}


def keep(out: Path) -> None:
    """Of the output folder the journal, the exported texts, and hashes of the other files."""
    summary = json.loads((out / "summary.json").read_text())
    texts = {name for name in summary["files"] if Path(name).suffix in TEXT_FORMATS}
    expected = out / "expected"
    for name in sorted(texts):
        (expected / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(out / name, expected / name)
    hashes = {name: content for name, content in summary["files"].items() if name not in texts}
    (expected / "hashes.json").write_text(json.dumps(hashes, indent=1) + "\n")
    for path in out.iterdir():
        if path.name not in ("job.db", "expected"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


if __name__ == "__main__":
    main(sys.argv[1:])
