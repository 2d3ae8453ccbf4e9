"""`florence-annotate run`."""

import os
from pathlib import Path
from typing import Annotated

import typer

from florence_annotate.cli import options, screen
from florence_annotate.cli.options import BEHAVIOUR, DATASET, MODEL, PICTURES, TASK
from florence_annotate.questions.recipes import RecipeName


def run(
    source: Annotated[
        list[str],
        typer.Argument(
            help="Folders, pictures, quoted patterns such as `'in/*.jpg'`, or @list.txt with one "
            "path a line.",
            metavar="SOURCE...",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where the dataset goes. [default: SOURCE-dataset, beside a single folder]",
            rich_help_panel=DATASET,
        ),
    ] = None,
    classes: options.Classes = None,
    classes_file: options.ClassesFile = None,
    formats: options.Formats = None,
    visuals: options.Visuals = None,
    visuals_limit: options.VisualsLimit = None,
    images: options.Images = None,
    split: options.Split = None,
    seed: options.Seed = None,
    min_score: options.MinScore = None,
    nms: options.Nms = None,
    min_area: options.MinArea = None,
    presence: options.Presence = None,
    task: Annotated[
        str | None,
        typer.Option(
            help="What to ask: any of the 15 tasks that 'florence-annotate tasks' lists, by name "
            "or token. [default: detection]",
            rich_help_panel=TASK,
        ),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(RecipeName),
            help=f"Several questions an image: {'; '.join(one.asks for one in RecipeName)}.",
            rich_help_panel=TASK,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option(
            help="What to look for, for tasks that take a text: a phrase, or a caption to ground.",
            rich_help_panel=TASK,
        ),
    ] = None,
    texts: Annotated[
        str | None,
        typer.Option(
            metavar="FILE.csv|sidecar",
            help="A text for each picture: a CSV with the columns image and text, or the .txt "
            "beside each picture.",
            rich_help_panel=TASK,
        ),
    ] = None,
    regions: Annotated[
        str | None,
        typer.Option(
            metavar="COCO.json|YOLO_FOLDER",
            help="Boxes that exist already, for the tasks that take a region.",
            rich_help_panel=TASK,
        ),
    ] = None,
    strategy: Annotated[
        str | None,
        typer.Option(
            metavar="auto|od|open-vocabulary|grounding|segmentation",
            help="How classes are found: by the labels of `<OD>`, by one prompt a class, by one "
            "prompt for all, or by the mask of each. auto takes `<OD>` for classes that it is "
            "known to say, a prompt for others. [default: auto]",
            rich_help_panel=TASK,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="base, large, base-ft, large-ft, a hub id, a folder, or shapes: the small "
            "checkpoint in this package ('florence-annotate models' lists them). "
            "[default: base-ft]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    revision: Annotated[
        str | None,
        typer.Option(help="Branch, tag or commit on the hub.", rich_help_panel=MODEL),
    ] = None,
    adapter: Annotated[
        str | None,
        typer.Option(
            help="A LoRA adapter made with peft, merged into the model: a folder or a hub id.",
            rich_help_panel=MODEL,
        ),
    ] = None,
    canary: Annotated[
        bool | None,
        typer.Option(
            "--canary/--no-canary",
            help="Ask about a test picture first, alone and in a batch, and refuse a model whose "
            "answers differ or make no sense. [default: canary]",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(
            metavar="auto|cpu|cuda[:N]|mps",
            help="Where the model runs. [default: auto]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="auto|float32|bfloat16|float16",
            help="Number format of the model. [default: auto: bfloat16 where the device has it, "
            "float32 elsewhere and for shapes]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    attention: Annotated[
        str | None,
        typer.Option(
            metavar="auto|sdpa|eager|flash_attention_2",
            help="Attention kernel. [default: auto]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    compile: Annotated[  # noqa: A002  # it bears the flag's name, as all do
        bool | None,
        typer.Option(
            "--compile",
            help="Compile the vision tower first: a minute or more, for long jobs on a GPU; on a "
            "CPU nothing is gained. Needs a C++ compiler.",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
    batch_size: Annotated[
        str | None,
        typer.Option(
            metavar="N|auto",
            help="Pictures, and questions, at once; halved when memory runs out. [default: auto, "
            "what fits a CUDA device's memory, elsewhere 8]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Processes that read pictures; 0 reads them in this one. [default: by cores]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    max_new_tokens: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Longest answer, in tokens; an object takes five or more. [default: 512]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    num_beams: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Beams of the search; 1 is greedy. [default: the checkpoint's own]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    no_repeat_ngram: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Forbid N tokens in a row from coming twice; 0 allows it, which suits crowded "
            "pictures. [default: the checkpoint's own]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    constrain: Annotated[
        str | None,
        typer.Option(
            metavar="off|form|labels",
            help="Hold every answer to the form of its task, so that no box is torn; labels also "
            "lets `<OD>` say nothing but your classes. [default: off]",
            rich_help_panel=MODEL,
        ),
    ] = None,
    retry_truncated: Annotated[
        bool | None,
        typer.Option(
            "--retry-truncated/--no-retry-truncated",
            help="Let an answer that reaches the limit go on to twice of it. [default: retry]",
            show_default=False,
            rich_help_panel=MODEL,
        ),
    ] = None,
    include: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN,…",
            help="Only pictures whose name or path matches, as in `day/*,*.jpg`.",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    exclude: Annotated[
        str | None,
        typer.Option(metavar="PATTERN,…", help="Not those that match.", rich_help_panel=PICTURES),
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Only the first N pictures; a later run without it goes on with the rest.",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    tiles: Annotated[
        str | None,
        typer.Option(
            metavar="CxR|PIXELS",
            help="Also ask of overlapping tiles, so that small things in large pictures are seen: "
            "columns and rows, as in 2x2, or a tile's side in pixels, as in 768.",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    overlap: Annotated[
        float | None,
        typer.Option(
            metavar="0..0.5",
            help="Part of a tile's side that it shares with the next; things larger than that may "
            "be cut in every tile. [default: 0.2]",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    max_pixels: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Refuse larger pictures (decompression bombs). [default: 178956970]",
            rich_help_panel=PICTURES,
        ),
    ] = None,
    preset: Annotated[
        str | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="Settings from a YAML file or a preset (ci, crowded, demo, fast); flags beat it.",
            rich_help_panel=BEHAVIOUR,
        ),
    ] = None,
    max_failures: Annotated[
        str | None,
        typer.Option(
            metavar="N|P%",
            help="Pictures that may fail before the exit code is 3. [default: 0]",
            rich_help_panel=BEHAVIOUR,
        ),
    ] = None,
    retry_failed: options.RetryFailed = False,
    restart: Annotated[
        bool,
        typer.Option(
            "--restart",
            help="Forget the job in the output folder and begin again.",
            rich_help_panel=BEHAVIOUR,
        ),
    ] = False,
    push_to_hub: options.PushToHub = None,
    overwrite: options.Overwrite = False,
    dry_run: Annotated[
        bool,
        typer.Option(help="Say what would be done, and write nothing.", rich_help_panel=BEHAVIOUR),
    ] = False,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Annotate pictures and write a dataset. Give the same command again to go on.

    Examples:

    - florence-annotate run ./images --classes person,car

    - florence-annotate run ./images --classes-file classes.yaml --visuals --min-score 0.4

    - florence-annotate run ./images --recipe instance-segmentation --format yolo-seg,coco

    - florence-annotate run ./images --model large-ft --device cuda:0 --batch-size 32 -o ./out
    """
    given = locals()
    from florence_annotate.config import job_spec
    from florence_annotate.formats import hub
    from florence_annotate.jobs.job import Job
    from florence_annotate.jobs.output import default_output

    settings = {name: given[name] for name in job_spec.FLAGS & given.keys()}
    spec = job_spec.build({**settings, "sources": tuple(source)}, preset)
    out = Path(os.path.abspath(output)) if output else default_output(spec.sources)
    job = Job(spec, out)
    if push_to_hub:
        hub.refuse_unpublishable(push_to_hub, job.formats)
    if dry_run:
        pending = job.count_pending(restart=restart, retry_failed=retry_failed)
        screen.show_plan(job, pending, as_json=as_json)
        return
    screen.run(
        job,
        push_to_hub=push_to_hub,
        as_json=as_json,
        quiet=quiet,
        restart=restart,
        retry_failed=retry_failed,
        overwrite=overwrite,
    )
