"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

DATASET = "The dataset"
TASK = "The task"
MODEL = "The model"
PICTURES = "The pictures"
BEHAVIOUR = "Behaviour"

Out = Annotated[Path, typer.Argument(help="Output folder of a job.", metavar="OUT")]

Classes = Annotated[
    str | None,
    typer.Option(
        "--classes",
        metavar="A,B,…",
        help="Classes to annotate, in the order of their ids. Without, every label is a class.",
        rich_help_panel=DATASET,
    ),
]
ClassesFile = Annotated[
    Path | None,
    typer.Option(
        "--classes-file",
        metavar="FILE",
        help="Classes from a file: one name a line, a data.yaml, or YAML such as "
        'car: {synonyms: [sedan, suv], prompt: "a parked car"}.',
        rich_help_panel=DATASET,
    ),
]
Formats = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="A,B,…",
        help="Formats to write: yolo, yolo-seg, yolo-obb, coco, coco-captions, coco-results, "
        "voc, labelme, label-studio, cvat, parquet, imagefolder, jsonl. [default: what fits the "
        "task; for boxes yolo,coco]",
        rich_help_panel=DATASET,
    ),
]
Visuals = Annotated[
    bool | None,
    typer.Option(
        "--visuals/--no-visuals",
        help="Also write pictures with what was found drawn in.",
        show_default=False,
        rich_help_panel=DATASET,
    ),
]
VisualsLimit = Annotated[
    int | None,
    typer.Option(
        "--visuals-limit",
        metavar="N",
        help="Draw only the first N pictures.",
        rich_help_panel=DATASET,
    ),
]
Images = Annotated[
    str | None,
    typer.Option(
        "--images",
        metavar="hardlink|symlink|copy|none",
        help="How the dataset holds the pictures; originals are never changed. [default: "
        "hardlink, or copy where there are no links]",
        rich_help_panel=DATASET,
    ),
]
Split = Annotated[
    str | None,
    typer.Option(
        "--split",
        metavar="NAME=SHARE,…",
        help="Shares of train, val and test. [default: train=0.8,val=0.2]",
        rich_help_panel=DATASET,
    ),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", help="Seed of the split. [default: 0]", rich_help_panel=DATASET),
]
MinScore = Annotated[
    float | None,
    typer.Option(
        "--min-score",
        metavar="P",
        help="Leave out instances below this score, 0 to 1. [default: 0]",
        rich_help_panel=DATASET,
    ),
]
MinArea = Annotated[
    float | None,
    typer.Option(
        "--min-area",
        metavar="PIXELS",
        help="Leave out boxes of fewer square pixels. [default: 0]",
        rich_help_panel=DATASET,
    ),
]
Presence = Annotated[
    bool | None,
    typer.Option(
        "--presence/--no-presence",
        help="Keep a class that was asked by name only where a second kind of question agrees. "
        "[default: with --recipe verify, which it implies in run]",
        show_default=False,
        rich_help_panel=DATASET,
    ),
]
PushToHub = Annotated[
    str | None,
    typer.Option(
        "--push-to-hub",
        metavar="REPO",
        help="Upload the dataset to this dataset repository on the hub, with a card; it is made, "
        "private, where it is not there. Needs --format parquet or imagefolder.",
        rich_help_panel=DATASET,
    ),
]
Nms = Annotated[
    float | None,
    typer.Option(
        "--nms",
        metavar="IOU",
        help="Of two boxes of one class that overlap by more than this, keep the better.",
        rich_help_panel=DATASET,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace exported files even where they were corrected by hand.",
        rich_help_panel=BEHAVIOUR,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Try the pictures again that failed in an earlier run.",
        rich_help_panel=BEHAVIOUR,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON.", rich_help_panel=BEHAVIOUR),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=BEHAVIOUR),
]
