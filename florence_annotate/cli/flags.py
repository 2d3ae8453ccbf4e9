"""The flags of the commands: those of settings, made from their declarations, and the others."""

import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from florence_annotate.config import presets
from florence_annotate.config.job_spec import OPTIONS, JobSpec, flag_of
from florence_annotate.config.wording import types_of, values_of
from florence_annotate.declaration import Panel
from florence_annotate.formats.registry import FORMATS

Out = Annotated[Path, typer.Argument(help="Output folder of a job.", metavar="OUT")]

Preset = Annotated[
    str | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help=f"Settings from a YAML file or a preset ({', '.join(presets.names())}); flags beat "
        "it.",
        rich_help_panel=Panel.BEHAVIOUR,
    ),
]
PushToHub = Annotated[
    str | None,
    typer.Option(
        "--push-to-hub",
        metavar="REPO",
        help="Upload the dataset to this dataset repository on the hub, with a card; it is made, "
        "private, where it is not there. Needs --format parquet or imagefolder.",
        rich_help_panel=Panel.DATASET,
    ),
]
AddFormat = Annotated[
    str | None,
    typer.Option(
        "--add-format",
        metavar="A,B,…",
        help="Write these formats too, beside those that the dataset has.",
        rich_help_panel=Panel.DATASET,
    ),
]
Overwrite = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace exported files even where they were corrected by hand.",
        rich_help_panel=Panel.BEHAVIOUR,
    ),
]
Renumber = Annotated[
    bool,
    typer.Option(
        "--renumber",
        help="Let a class list give classes other ids than an earlier list gave them; the first "
        "list of a dataset does not need it.",
        rich_help_panel=Panel.DATASET,
    ),
]
RetryFailed = Annotated[
    bool,
    typer.Option(
        "--retry-failed",
        help="Try the images again that failed in an earlier run.",
        rich_help_panel=Panel.BEHAVIOUR,
    ),
]
AllowMissing = Annotated[
    bool,
    typer.Option(
        "--allow-missing",
        help="Go on where a source that held annotated images is not there, or a folder of one is "
        "empty or can't be read: they leave the dataset.",
        rich_help_panel=Panel.BEHAVIOUR,
    ),
]
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Print the result as JSON.", rich_help_panel=Panel.BEHAVIOUR),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Print errors only.", rich_help_panel=Panel.BEHAVIOUR),
]


def _iou(text: object) -> str:
    if text not in ("bbox", "segm"):
        raise typer.BadParameter(f"{text!r} won't do: write bbox, for boxes, or segm, for masks")
    return str(text)


GROUND_TRUTH = typer.Option(
    "--ground-truth",
    metavar="FILE|FOLDER",
    help="What is true: a COCO file, a YOLO folder with data.yaml, or a folder of Pascal VOC's XML "
    "files.",
    show_default=False,
)
IOU = typer.Option(
    "--iou",
    metavar="bbox|segm",
    parser=_iou,
    help="Compare boxes, or masks. [default: bbox]",
    show_default=False,
)


def whole_number(text: object) -> int:
    """For `parser` of a flag that is no setting."""
    try:
        return int(str(text))
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} won't do: write a whole number") from error


Settings = Mapping[str, Any]
"""What was given of the settings: flags as they were written, or whether they were set."""


def in_panels(*panels: Panel) -> list[str]:
    """The settings of some panels, in the order of the help."""
    return [name for panel in panels for name in OPTIONS if OPTIONS[name].panel == panel]


def with_settings(
    after: Mapping[str, Iterable[str]], panels: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the flags of settings; what is given comes to its parameter `settings`.

    `after` says behind which of its own parameters which settings stand in the help. Every flag but
    a switch is text: the field of the setting reads and refuses it. Without `panels` the flags
    stand with the command's plain ones.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        parameters = []
        for own in inspect.signature(command).parameters.values():
            if own.name != "settings":
                parameters.append(own.replace(kind=inspect.Parameter.KEYWORD_ONLY))
                parameters += [
                    _parameter(name, in_panel=panels) for name in after.get(own.name, ())
                ]

        @functools.wraps(command)
        def run(**values: Any) -> None:
            names = [name for names in after.values() for name in names]
            settings = {name: values.pop(name) for name in names}
            command(settings=settings, **values)

        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _parameter(name: str, *, in_panel: bool) -> inspect.Parameter:
    option, types = OPTIONS[name], types_of(JobSpec.model_fields[name])
    flag = flag_of(name)
    is_switch = bool in types
    if is_switch and option.flag is None:
        flag = f"{flag}/--no-{flag.removeprefix('--')}"
    declared = typer.Option(
        flag,
        metavar=None if is_switch else metavar_of(name),
        help=help_of(name) if in_panel else option.help_of_resume,
        rich_help_panel=option.panel if in_panel else None,
        show_default=False,
    )
    annotation = bool if is_switch else Path if Path in types else str
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation | None, declared],
    )


def help_of(name: str) -> str:
    """What a setting does, and its default."""
    about = OPTIONS[name].help.replace("{formats}", ", ".join(FORMATS))
    default = default_of(name)
    return f"{about} [default: {default}]" if default else about


def default_of(name: str) -> str:
    """The default of a setting as the help says it; empty where there is none."""
    if (declared := OPTIONS[name].default) is not None:
        return declared
    default = JobSpec.model_fields[name].default
    if isinstance(default, float):
        return f"{default:g}"
    return "" if default is None or default is False or default == () else str(default)


def metavar_of(name: str) -> str:
    """What stands for the value of a flag: what it may be, or its kind."""
    if declared := OPTIONS[name].metavar:
        return declared
    types = types_of(JobSpec.model_fields[name])
    if listed := [value for each in types for value in values_of(each)]:
        return "|".join(listed)
    return "N" if int in types else "TEXT"
