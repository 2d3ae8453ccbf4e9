"""Why something that the model said is not in the dataset: each reason, with a sentence."""

from enum import StrEnum
from typing import Self


class Reason(StrEnum):
    """Why the dataset leaves out something that the model said. The values are stable names."""

    sentence: str
    """What it means, for people."""

    def __new__(cls, name: str, sentence: str) -> Self:
        reason = str.__new__(cls, name)
        reason._value_, reason.sentence = name, sentence
        return reason

    # an answer that can't be read as an instance
    NO_BOX = "no-box", "the answer has a phrase without a location"
    TORN_BOX = "torn-box", "the answer has fewer than the four location tokens of a box"
    TORN_POLYGON = "torn-polygon", "the answer has an outline of fewer than three points"
    TORN_QUAD = (
        "torn-quad",
        "the answer has fewer than the eight location tokens of a quad",
    )
    OTHER_VIEW = "other-view", "another tile, or the whole image, shows the same thing better"

    # what the policy leaves out, in the order in which it asks
    WITNESS = "witness", "it comes from a question that was asked only to verify others"
    ZERO_AREA = "zero-area", "nothing of the box lies within the image"
    NO_LABEL = "no-label", "the model gave it no label"
    NO_CLASS = "no-class", "its label belongs to no class of the list"
    NO_OBJECT = "no-object", "its phrase names no object, as `it` and `the image` do"
    ASKED_BY_PROMPT = "asked-by-prompt", "a prompt of its own looks for its class"
    ABSENT = "absent", "no second kind of question finds its class on the image"
    DUPLICATE = "duplicate", "the same class and box came again with a better score"
    MIN_SCORE = "min-score", "its score is below --min-score"
    MIN_AREA = "min-area", "its box has fewer square pixels than --min-area"
    MAX_AREA = "max-area", "its box covers more of the image than --max-area"
    CONTAINER = "container", "it is a box around several others of its class"
    NMS = "nms", "it overlaps a better instance of its class by more than --nms"
    NMS_ACROSS_CLASSES = (
        "nms-across-classes",
        "it overlaps a better instance of another class by more than --nms-across-classes",
    )
