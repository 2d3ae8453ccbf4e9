"""How a setting is declared: once, in the annotation of the field that holds it.

`florence_annotate.config.job_spec.JobSpec` has all such fields. From them are made the flags of the
commands with their help, `docs/options.md`, what binds a job, and what is kept of one where.
"""

from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator


class Panel(StrEnum):
    """The headings under which `--help` lists the flags."""

    DATASET = "The dataset"
    """Also the settings that `export` takes."""
    TASK = "The task"
    MODEL = "The model"
    IMAGES = "The images"
    GATES = "Gates (exit code 3 where one is missed)"
    """`export` takes them too."""
    BEHAVIOUR = "Behaviour"


class Binds(Enum):
    """Whether a job must go on with the value that it was begun with, since another one would
    change what the model says."""

    NOT = "no"
    AS_ONE = "yes"
    BY_KIND = "for each kind of task"
    """Tasks with locations and tasks with text may have values of their own."""


class Kept(Enum):
    """Where the value of a setting is kept beside the settings of its run, and so what an export
    goes by that is not given it."""

    POLICY = "in policy.yaml, and with each export"
    """It is settled: it stays until somebody changes it, there or by a flag."""
    JOURNAL = "with each export"
    """Settled too, but too long for a file that people read."""
    ONCE = "with each export, to know what its files were made of"
    """It shapes files of the export that it is given to, or of all in its job: nothing is
    settled."""
    RUN = "nowhere else"
    """It shapes no file but by the answers, which the journal has."""


class Locates(Enum):
    """What the text of a setting finds. In a configuration file a relative path begins where that
    file lies."""

    FILE = "a file or a folder"
    FILE_BY_NAME = "files, each behind a name"
    FOLDER_OR_NAME = "a folder, where there is one of that name"


@dataclass(frozen=True, slots=True)
class Option:
    """A setting as a user meets it; its type, its bounds and its default are the field's."""

    help: str
    panel: Panel
    metavar: str | None = None
    """None: the field's values where they can be listed, else its type."""
    default: str | None = None
    """What the help says of the default; None: the value of the field, nothing if that is None."""
    flag: str | None = None
    """None: made from the field's name."""
    help_of_resume: str | None = None
    """What it does in `resume`, which takes it where this is given."""
    binds: Binds = Binds.NOT
    kept: Kept = Kept.RUN
    locates: Locates | None = None

    @property
    def holds_path(self) -> bool:
        """Whether its value is a path; what is read from one and kept is none."""
        return self.locates is not None and self.kept is Kept.RUN


def as_list(value: Any) -> Any:
    """`a,b` → [a, b], so that flags and YAML lists mean the same."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return value


def as_pairs(text: str) -> dict[str, str]:
    """`a=x,b=y` → {a: x, b: y}; of what is without `=` the value is empty.

    Raises ValueError for a name that comes twice.
    """
    found: dict[str, str] = {}
    for part in text.split(","):
        name, _, value = map(str.strip, part.partition("="))
        if name in found:
            raise ValueError(f"{name} is named twice")
        found[name] = value
    return found


Names = Annotated[tuple[str, ...], BeforeValidator(as_list)]
"""The type of a setting that holds several names."""
