"""What a user may decide about what a dataset holds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from florence_annotate.declaration import Kept, Option, Panel


class Thresholds(BaseModel):
    """See `florence_annotate.policy.policy.Policy`, which applies them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_score: Annotated[
        float,
        Option(
            "Leave out instances below this score, 0 to 1: an estimate of the probability that "
            "label and box are right, shown to hold on painted scenes alone; eval shows it on your "
            "own.",
            Panel.DATASET,
            "P",
            kept=Kept.POLICY,
        ),
    ] = Field(default=0.0, ge=0, le=1)
    nms: Annotated[
        float | None,
        Option(
            "Of two boxes of one class that overlap by more than this, keep the better.",
            Panel.DATASET,
            "IOU",
            kept=Kept.POLICY,
        ),
    ] = Field(default=None, ge=0, le=1)
    min_area: Annotated[
        float,
        Option(
            "Leave out boxes of fewer square pixels.", Panel.DATASET, "PIXELS", kept=Kept.POLICY
        ),
    ] = Field(default=0.0, ge=0, allow_inf_nan=False)
    max_area: Annotated[
        float | None,
        Option(
            "Leave out boxes that cover more than this part of the image, 0 to 1.",
            Panel.DATASET,
            "SHARE",
            kept=Kept.POLICY,
        ),
    ] = Field(default=None, gt=0, le=1)
    drop_containers: Annotated[
        bool | None,
        Option(
            "Leave out a box that is the hull of several others of its class.",
            Panel.DATASET,
            default="for open-vocabulary and grounding",
            kept=Kept.POLICY,
        ),
    ] = None
    nms_across_classes: Annotated[
        float | None,
        Option(
            "Of two boxes of different classes that overlap by more than this, keep the better.",
            Panel.DATASET,
            "IOU",
            kept=Kept.POLICY,
        ),
    ] = Field(default=None, ge=0, le=1)
    synonyms: Annotated[
        bool,
        Option(
            "Take other words for COCO's classes for those that are spelled as COCO does: man for "
            "person, sofa for couch.",
            Panel.DATASET,
            default="synonyms",
            kept=Kept.POLICY,
        ),
    ] = True
    label_rules: Annotated[
        int,
        Option(
            "How labels become classes: 2 takes a phrase for its head, knows plurals from words "
            "that look like one, and leaves out phrases that name nothing; 1 is that of jobs begun "
            "before.",
            Panel.DATASET,
            "1|2",
            kept=Kept.POLICY,
        ),
    ] = Field(default=2, ge=1, le=2)
    presence: Annotated[
        bool | None,
        Option(
            "Keep a class that was asked by name only where a second kind of question agrees.",
            Panel.DATASET,
            default="with --recipe verify, which it implies in run",
            kept=Kept.POLICY,
        ),
    ] = None
    refine_boxes: Annotated[
        bool,
        Option(
            "Move edges between the bins, to where the model has its mass on average. Exact to the "
            "last digit only for one batch size.",
            Panel.DATASET,
            kept=Kept.POLICY,
        ),
    ] = False

    @property
    def least_overlap(self) -> float | None:
        """What two boxes overlap by, at the least, of which one may go; None: none does."""
        limits = [one for one in (self.nms, self.nms_across_classes) if one is not None]
        return min(limits, default=None)
