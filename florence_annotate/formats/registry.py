"""The dataset's files: one module a format, and the registry of their names."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from florence_annotate.config.job_spec import JobSpec
from florence_annotate.errors import UsageError, nearest
from florence_annotate.formats.coco import CocoWriter
from florence_annotate.formats.coco_captions import CocoCaptionsWriter
from florence_annotate.formats.coco_results import CocoResultsWriter
from florence_annotate.formats.cvat import CvatWriter
from florence_annotate.formats.entries import Export, Writer
from florence_annotate.formats.imagefolder import ImageFolderWriter
from florence_annotate.formats.jsonl import JsonLinesWriter
from florence_annotate.formats.label_studio import LabelStudioWriter
from florence_annotate.formats.labelme import LabelMeWriter
from florence_annotate.formats.parquet import ParquetWriter
from florence_annotate.formats.txt import TextWriter
from florence_annotate.formats.voc import VocWriter
from florence_annotate.formats.yolo import YoloOrientedWriter, YoloSegmentWriter, YoloWriter
from florence_annotate.tasks import Gives, of
from florence_annotate.types import Question


class Content(StrEnum):
    """What a job's answers hold."""

    BOXES = "boxes"
    POLYGONS = "masks"
    QUADS = "printed text with its place"
    CAPTIONS = "captions"


@dataclass(frozen=True, slots=True)
class Format:
    """How a format is written, and what makes it worth writing."""

    writer: Callable[[Export], Writer]
    needs: frozenset[Content]
    """One of these at least."""
    files: str
    about: str
    is_yolo: bool = False
    """Writes `data.yaml` and `labels/`, which only one format can."""
    lies_beside_images: bool = False
    """Readers look for the images in `images/`, so there must be some."""
    reads_originals: bool = False
    """The originals are read for it, also where `images/` is not written."""
    package: str | None = None
    """What has to be installed for it; the extra of this package has the format's name."""


_BOXES = frozenset({Content.BOXES})
_BOXES_OR_CAPTIONS = frozenset({Content.BOXES, Content.CAPTIONS})
_YOLO_FILES = "data.yaml, labels/"

FORMATS: dict[str, Format] = {
    "yolo": Format(YoloWriter, _BOXES, _YOLO_FILES, "YOLO", is_yolo=True),
    "yolo-seg": Format(
        YoloSegmentWriter,
        frozenset({Content.POLYGONS}),
        _YOLO_FILES,
        "YOLO, outlines",
        is_yolo=True,
    ),
    "yolo-obb": Format(
        YoloOrientedWriter, _BOXES, _YOLO_FILES, "YOLO, oriented boxes", is_yolo=True
    ),
    "coco": Format(CocoWriter, _BOXES, "annotations/instances_*", "COCO"),
    "coco-captions": Format(
        CocoCaptionsWriter,
        frozenset({Content.CAPTIONS}),
        "annotations/captions_*",
        "COCO, captions",
    ),
    "coco-results": Format(
        CocoResultsWriter, _BOXES, "annotations/results_*", "COCO, results for pycocotools"
    ),
    "txt": Format(
        TextWriter,
        frozenset({Content.CAPTIONS}),
        "images/*/*.txt",
        "a caption beside each image, for trainers",
        lies_beside_images=True,
    ),
    "voc": Format(VocWriter, _BOXES, "voc/", "Pascal VOC"),
    "labelme": Format(LabelMeWriter, _BOXES, "labelme/", "LabelMe", lies_beside_images=True),
    "label-studio": Format(
        LabelStudioWriter,
        _BOXES_OR_CAPTIONS,
        "label-studio/",
        "Label Studio, pre-annotations",
        lies_beside_images=True,
    ),
    "cvat": Format(CvatWriter, _BOXES, "annotations.xml, cvat/", "CVAT for images 1.1"),
    "parquet": Format(
        ParquetWriter,
        _BOXES_OR_CAPTIONS,
        "parquet/",
        "a table with the images in it",
        reads_originals=True,
        package="pyarrow",
    ),
    "imagefolder": Format(
        ImageFolderWriter,
        _BOXES_OR_CAPTIONS,
        "images/*/metadata.jsonl",
        "a folder of images for the hub",
        lies_beside_images=True,
    ),
    "jsonl": Format(
        JsonLinesWriter, frozenset(Content), "annotations.jsonl", "everything, a line an image"
    ),
}


def settle(spec: JobSpec, questions: Sequence[Question]) -> tuple[str, ...]:
    """The formats of a job that asks such questions; the usual ones where none are named.

    Raises UsageError for a format that does not exist, that would hold nothing, whose readers would
    find no images, that needs a package which is not there, or that would write another one's
    files.
    """
    holds = contents(questions)
    if spec.joins_tags:
        holds |= {Content.CAPTIONS}
    names = spec.formats
    if names is None:
        return _usual(holds)
    # else they were settled, in policy.yaml or in a preset
    where = "--format" if "formats" in spec.by_flag else "formats (policy.yaml, or --config)"
    if not names:
        raise UsageError(f"{where}: it names no format: choose from {', '.join(FORMATS)}")
    for name in names:
        _refuse_unknown(name, where)
    if empty := [name for name in names if not FORMATS[name].needs & holds]:
        listed = ", ".join(empty)
        choose = f"choose {', '.join(_usual(holds))}"
        raise UsageError(
            f"--format {listed} would hold nothing: this job's answers are "
            f"{', '.join(sorted(holds))}; "
            + (choose if set(empty) == set(names) else f"leave {listed} out")
        )
    for name in names:
        _refuse_without_means(name, spec.images)
    if len(yolos := [name for name in names if FORMATS[name].is_yolo]) > 1:
        raise UsageError(
            f"{' and '.join(yolos)} write the same files: choose one of them, and export the other "
            "to another folder: 'florence-annotate export … -o FOLDER'"
        )
    return names


def _refuse_unknown(name: str, where: str) -> None:
    if name not in FORMATS:
        hint = nearest(name, FORMATS) or f"choose from {', '.join(FORMATS)}"
        raise UsageError(f"{where}: there is no format {name!r}: {hint}")


def _refuse_without_means(name: str, image_mode: str) -> None:
    format_ = FORMATS[name]
    if format_.lies_beside_images and image_mode == "none":
        raise UsageError(
            f"--format {name} is read beside its images, and --images none writes none: leave "
            "one of them out"
        )
    if format_.package and importlib.util.find_spec(format_.package) is None:
        raise UsageError(f"--format {name} needs {format_.package}: pip install {format_.package}")


def with_added(spec: JobSpec, names: Sequence[str], questions: Sequence[Question]) -> JobSpec:
    """The settings of a job that asks such questions, with further formats; a second kind of YOLO
    takes the place of the first.

    Raises UsageError for a format that does not exist, and as `settle` does.
    """
    if not names:
        return spec
    held = settle(spec, questions)
    for name in names:
        _refuse_unknown(name, "--add-format")
    has_yolo = any(FORMATS[name].is_yolo for name in names)
    stays = [name for name in held if not (has_yolo and FORMATS[name].is_yolo)]
    return spec.with_formats(tuple(dict.fromkeys([*stays, *names])))


def contents(questions: Sequence[Question]) -> frozenset[Content]:
    """What the answers to such questions hold."""
    found: set[Content] = set()
    for question in questions:
        task = of(question)
        if task.is_about_whole_image:
            found.add(Content.CAPTIONS)
            continue
        found.add(Content.BOXES)
        if task.gives is Gives.POLYGONS:
            found.add(Content.POLYGONS)
        elif task.gives is Gives.QUADS:
            found.add(Content.QUADS)
    return frozenset(found)


def _usual(holds: frozenset[Content]) -> tuple[str, ...]:
    names = []
    if Content.POLYGONS in holds:
        names = ["yolo-seg", "coco"]
    elif Content.QUADS in holds:
        names = ["yolo-obb", "coco"]
    elif Content.BOXES in holds:
        names = ["yolo", "coco"]
    if Content.CAPTIONS in holds:
        names.append("coco-captions")
    return tuple(names)
