"""What a user may have left out of a dataset."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from florence_annotate.declaration import Option, Panel


class Thresholds(BaseModel):
    """See `florence_annotate.policy.policy.Policy`, which applies them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_score: Annotated[
        float,
        Option("Leave out instances below this score, 0 to 1.", Panel.DATASET, "P"),
    ] = Field(default=0.0, ge=0, le=1)
    nms: Annotated[
        float | None,
        Option(
            "Of two boxes of one class that overlap by more than this, keep the better.",
            Panel.DATASET,
            "IOU",
        ),
    ] = Field(default=None, ge=0, le=1)
    min_area: Annotated[
        float,
        Option("Leave out boxes of fewer square pixels.", Panel.DATASET, "PIXELS"),
    ] = Field(default=0.0, ge=0, allow_inf_nan=False)
    presence: Annotated[
        bool | None,
        Option(
            "Keep a class that was asked by name only where a second kind of question agrees.",
            Panel.DATASET,
            default="with --recipe verify, which it implies in run",
        ),
    ] = None
