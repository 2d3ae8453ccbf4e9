"""What a pipeline asks of a dataset: gates, each of which gives exit code 3 where it is missed.

They shape no file, and count for the command that is given them: a run has those of its flags and
its preset, `resume` those of the last run, an export those that it is given.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from florence_annotate.config.settings import Group
from florence_annotate.declaration import Option, Panel, as_pairs


class Share(BaseModel):
    """`90%` of some whole."""

    model_config = ConfigDict(frozen=True)

    percent: float = Field(ge=0, le=100)

    def __str__(self) -> str:
        return f"{self.percent:g}%"

    def is_reached(self, part: int, whole: int) -> bool:
        return part * 100 >= self.percent * whole

    def is_exceeded(self, part: int, whole: int) -> bool:
        return part * 100 > self.percent * whole


class MaxFailures(BaseModel):
    """`3` images, or `2%` of them."""

    model_config = ConfigDict(frozen=True)

    count: int | None = Field(default=None, ge=0)
    percent: float | None = Field(default=None, ge=0, le=100)

    def __str__(self) -> str:
        return str(self.count or 0) if self.percent is None else f"{self.percent:g}%"

    def allows(self, failures: int, images: int) -> bool:
        if self.percent is not None:
            return not Share(percent=self.percent).is_exceeded(failures, images)
        return failures <= (self.count or 0)


def as_share(value: Any) -> Any:
    """`90%` → a `Share`. Raises ValueError for text that is none, and for a bare number, which may
    be meant as a part of one."""
    if not isinstance(value, str | int | float):
        return value
    number = str(value).strip()
    try:
        if number.endswith("%"):
            return Share(percent=float(number.removesuffix("%")))
    except ValueError:
        pass
    raise ValueError("write a share from 0% to 100%, as in 90%")


def _as_max_failures(value: Any) -> Any:
    if not isinstance(value, int | str):
        return value
    number = str(value).strip()
    try:
        if number.endswith("%"):
            return MaxFailures(percent=float(number.removesuffix("%")))
        return MaxFailures(count=int(number))
    except ValueError as error:
        raise ValueError("write a number of images, as in 10, or a share, as in 2%") from error


def _as_least_counts(value: Any) -> Any:
    """`car=10,dog=5` → {car: 10, dog: 5}."""
    if isinstance(value, str):
        value = as_pairs(value)
    if not isinstance(value, Mapping):
        return value
    try:
        counts = {str(name): int(str(count)) for name, count in value.items()}
    except ValueError:
        counts = {}
    if not counts or not all(name and count >= 1 for name, count in counts.items()):
        raise ValueError("write classes with a whole number of 1 or more, as in car=10,dog=5")
    return counts


class GateSettings(Group):
    """What must hold of a dataset that is written."""

    max_failures: Annotated[
        Annotated[MaxFailures, BeforeValidator(_as_max_failures)],
        Option("Images of the job that may fail.", Panel.GATES, "N|P%"),
    ] = MaxFailures(count=0)
    min_labelled: Annotated[
        Annotated[Share | None, BeforeValidator(as_share)],
        Option(
            "Share of the images in the dataset that need a label; what --labelled-only leaves "
            "out counts as images without one.",
            Panel.GATES,
            "P%",
        ),
    ] = None
    min_instances: Annotated[
        Annotated[dict[str, int] | None, BeforeValidator(_as_least_counts)],
        Option(
            "Instances of a class that the dataset needs, thresholds applied.",
            Panel.GATES,
            "CLASS=N,…",
        ),
    ] = None
    max_truncated: Annotated[
        Annotated[Share | None, BeforeValidator(as_share)],
        Option(
            "Share of the images in the dataset that may have an answer cut at the token limit.",
            Panel.GATES,
            "P%",
        ),
    ] = None
