"""Which checkpoint, where it runs, and how it writes. See `florence_annotate.config.settings`."""

import os
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator

from florence_annotate.config.settings import Group, refuse_empty
from florence_annotate.declaration import Binds, Locates, Option, Panel
from florence_annotate.types import MOST_BEAMS

EMBEDDED = "shapes"
"""The checkpoint in this package, also beside a folder of that name."""

MOST_WORKERS = 256

MOST_ACTORS = 1024
"""Of an engine on several devices; one driver feeds far fewer of a fast model."""

OWN = "own"
"""What a checkpoint's own files say."""

LONGEST_ANSWER = 512
"""Tokens, where nobody asks for more or fewer; the decoder may have positions for fewer."""


class ModelSettings(Group):
    """Which checkpoint, where it runs, and how it writes."""

    model: Annotated[
        str,
        Option(
            "base, large, base-ft, large-ft, a hub id, a folder, or shapes: the small checkpoint "
            "in this package ('florence-annotate models' lists them).",
            Panel.MODEL,
            binds=Binds.AS_ONE,
            locates=Locates.FOLDER_OR_NAME,
        ),
    ] = "base-ft"
    revision: Annotated[
        str | None,
        Option("Branch, tag or commit on the hub.", Panel.MODEL, binds=Binds.AS_ONE),
    ] = None
    adapter: Annotated[
        str | None,
        Option(
            "A LoRA adapter made with peft, merged into the model: a folder or a hub id.",
            Panel.MODEL,
            locates=Locates.FOLDER_OR_NAME,
        ),
    ] = None
    """Its content binds a job, not its name."""
    canary: Annotated[
        bool,
        Option(
            "Ask about a test image first, alone and in a batch, and refuse a model whose answers "
            "differ or make no sense.",
            Panel.MODEL,
            default="canary",
        ),
    ] = True
    device: Annotated[
        str,
        Option(
            "Where the model runs.",
            Panel.MODEL,
            "auto|cpu|cuda[:N]|mps",
            help_of_resume="Run on another device than the last run.",
        ),
    ] = "auto"
    engine: Annotated[
        Literal["local", "ray"],
        Option(
            "What runs the model: local has one device of this machine; ray has several, or a "
            "cluster's (docs/scale.md).",
            Panel.MODEL,
            help_of_resume="Go on with another engine than the last run's: local or ray.",
        ),
    ] = "local"
    gpus: Annotated[
        Annotated[int, Field(ge=1, le=MOST_ACTORS)] | Literal["all"] | None,
        Option(
            "With --engine ray: how many GPUs, each with a model of its own.",
            Panel.MODEL,
            "N|all",
            "all that there are, without --actors",
            help_of_resume="Other GPUs than the last run's; none takes them away.",
        ),
    ] = None
    actors: Annotated[
        int | None,
        Option(
            "With --engine ray, on CPUs: how many processes, each with a model of its own; they "
            "share the cores.",
            Panel.MODEL,
            "N",
            "one a machine, where there is no GPU",
            help_of_resume="Another number of processes on CPUs than the last run's; none takes "
            "them away.",
        ),
    ] = Field(default=None, ge=1, le=MOST_ACTORS)
    address: Annotated[
        str | None,
        Option(
            "With --engine ray: the cluster to join, from one of its machines; auto is the one "
            "that this machine belongs to.",
            Panel.MODEL,
            "auto|HOST:PORT",
            "Ray on this machine, for this run alone",
            help_of_resume="Another cluster than the last run's; none is this machine alone.",
        ),
    ] = None
    dtype: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"],
        Option(
            "Number format of the model.",
            Panel.MODEL,
            default="auto: bfloat16 where the device has it, float32 elsewhere and for shapes",
            binds=Binds.AS_ONE,
        ),
    ] = "auto"
    attention: Annotated[
        Literal["auto", "sdpa", "eager", "flash_attention_2"],
        Option("Attention kernel.", Panel.MODEL),
    ] = "auto"
    compile: Annotated[
        bool,
        Option(
            "Compile the vision tower first: a minute or more, for long jobs on a GPU that the "
            "kernels of this package are not made for (on others it is left out); on a CPU nothing "
            "is gained. Needs a C++ compiler.",
            Panel.MODEL,
            flag="--compile",
        ),
    ] = False
    batch_size: Annotated[
        Annotated[int, Field(ge=1, le=1024)] | Literal["auto"],
        Option(
            "Images, and questions, at once; halved when memory runs out.",
            Panel.MODEL,
            "N|auto",
            "auto, what fits a CUDA device's memory, elsewhere 8",
            help_of_resume="Another batch size than the last run's.",
        ),
    ] = "auto"
    workers: Annotated[
        int | None,
        Option(
            "Processes that read images; 0 reads them in this one.", Panel.MODEL, "N", "by cores"
        ),
    ] = Field(default=None, ge=0, le=MOST_WORKERS)
    threads: Annotated[
        Annotated[int, Field(ge=1, le=1024)] | Literal["auto"],
        Option(
            "Threads that share the model's work on a CPU. auto: one for each core, or as many as "
            "a container has time for; for a model as small as shapes one.",
            Panel.MODEL,
            "N|auto",
            help_of_resume="Another number of threads than the last run's.",
        ),
    ] = "auto"
    max_new_tokens: Annotated[
        int | None,
        Option(
            "Longest answer, in tokens; an object takes five or more.",
            Panel.MODEL,
            "N",
            str(LONGEST_ANSWER),
            binds=Binds.BY_KIND,
        ),
    ] = Field(default=None, ge=2)
    num_beams: Annotated[
        int | None,
        Option(
            "Beams of the search; 1 is greedy.",
            Panel.MODEL,
            "N",
            "the checkpoint's own",
            binds=Binds.BY_KIND,
        ),
    ] = Field(default=None, ge=1, le=MOST_BEAMS)
    no_repeat_ngram: Annotated[
        Annotated[int, Field(ge=0)] | Literal["own"] | None,
        Option(
            "Forbid N tokens in a row from coming twice; 0 allows it, own takes the checkpoint's. "
            "A ban keeps captions from going in circles, and costs boxes: where a class's name is "
            "three tokens long, 3 forbids its second box.",
            Panel.MODEL,
            "N|own",
            "0 for tasks with locations, own for text",
            binds=Binds.BY_KIND,
        ),
    ] = None
    constrain: Annotated[
        Literal["off", "form", "labels"],
        Option(
            "Hold every answer to the form of its task, so that no box is torn; labels also lets "
            "`<OD>` say nothing but your classes.",
            Panel.MODEL,
            binds=Binds.BY_KIND,
        ),
    ] = "off"
    retry_truncated: Annotated[
        bool,
        Option(
            "Let an answer that reaches the limit go on to twice of it.",
            Panel.MODEL,
            default="retry",
            binds=Binds.AS_ONE,
        ),
    ] = True

    @field_validator("model", "adapter")
    @classmethod
    def _folder_is_absolute(cls, value: str | None) -> str | None:
        refuse_empty(value)
        folder = os.path.expanduser(value or "")
        is_name = value in (None, EMBEDDED)
        return value if is_name or not os.path.isdir(folder) else os.path.abspath(folder)

    @field_validator("device")
    @classmethod
    def _device_has_a_name(cls, value: str) -> str:
        if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
            raise ValueError("write auto, cpu, mps, cuda, or cuda:1 for the second CUDA device")
        return value

    @field_validator("address")
    @classmethod
    def _address_is_of_a_cluster(cls, value: str | None) -> str | None:
        if value is not None and value.startswith("ray://"):
            raise ValueError(
                "Ray's client brings no answers while they come. Give the command on a machine of "
                "the cluster with --address auto, or send it from the first one: ray job submit "
                "--address http://127.0.0.1:8265 -- florence-annotate run … --engine ray --address "
                "auto"
            )
        if value is not None and not re.fullmatch(
            r"auto|[^\s/:]+:\d{1,5}|\[[^\s/]+\]:\d{1,5}", value
        ):
            raise ValueError("write auto, or HOST:PORT as 'ray start' printed it")
        return value

    @field_validator("revision")
    @classmethod
    def _revision_is_not_empty(cls, value: str | None) -> str | None:
        refuse_empty(value)
        return value
