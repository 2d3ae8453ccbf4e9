"""What an evaluation came to, for the screen, for scripts and for reports."""

from dataclasses import asdict, dataclass
from typing import Any

from florence_annotate.evaluation.averages import Averages, Curve
from florence_annotate.evaluation.gates import Gate, missed
from florence_annotate.evaluation.rates import Rates


@dataclass(frozen=True, slots=True)
class Figures:
    """Of one class, or of all together."""

    name: str
    averages: Averages
    """Whatever the score."""
    at_policy: Rates
    """As the dataset has it, of all boxes together."""
    at_best: Rates | None
    """At the threshold where F1 is best; None where nothing is right."""
    curve: Curve | None = None

    def value(self, figure: str) -> float | None:
        """A figure by its name in `gates`."""
        holder = self.at_policy if figure in ("precision", "recall", "f1") else self.averages
        value: float | None = getattr(holder, figure)
        return value

    def to_json(self) -> dict[str, Any]:
        return {
            **asdict(self.averages),
            "at_policy": self.at_policy.to_json(),
            "at_best": self.at_best and self.at_best.to_json(),
            **({"curve": asdict(self.curve)} if self.curve else {}),
        }


@dataclass(frozen=True, slots=True)
class Bin:
    """Boxes with scores from `lower` to `upper`."""

    lower: float
    upper: float
    score: float
    """Their mean score."""
    right: float
    """The part of them that is right."""
    boxes: int


@dataclass(frozen=True, slots=True)
class Calibration:
    error: float | None
    """Expected calibration error: how far scores and right parts are apart, weighted by boxes."""
    bins: list[Bin]


@dataclass(frozen=True, slots=True)
class ErrorKind:
    boxes: int
    """In the dataset as it is; of `missed`, true ones."""
    ap50_lost: float
    """By how much AP50 would be higher without this kind of error."""


@dataclass(frozen=True, slots=True)
class Stray:
    """A label that counts for no class of the ground truth."""

    label: str
    boxes: int
    on_missed: dict[str, int]
    """Class → how many of its missed objects lie where one of the boxes does."""


@dataclass(frozen=True, slots=True)
class WorstImage:
    key: str
    weight: float
    """Missed objects, and the scores of wrong boxes."""
    missed: dict[str, int]
    """Class → objects."""
    wrong: dict[str, int]
    """Class → boxes."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    dataset: str
    ground_truth: str
    iou: str
    images: int
    """That both sides have; the figures are about these."""
    only_in_job: list[str]
    only_in_ground_truth: list[str]
    min_score: float
    """Of the policy."""
    min_score_by_class: dict[str, float]
    overall: Figures
    classes: list[Figures]
    confusion: list[list[int]]
    """Rows: the true class; columns: the class that was said. The last of both: nothing."""
    errors: dict[str, ErrorKind]
    """By TIDE's kind."""
    calibration: Calibration
    strays: list[Stray]
    """The most frequent first."""
    worst: list[WorstImage]
    notes: list[str]
    """What else has to be known to read the figures, in sentences."""
    missed_gates: list[str]

    def gates_missed(self, gates: list[Gate]) -> list[str]:
        """A line for each that is not reached."""
        of_class = {figures.name: figures for figures in self.classes}
        lines = []
        for gate in gates:
            figures = self.overall if gate.class_name is None else of_class[gate.class_name]
            lines.append(missed(gate, figures.value(gate.figure)))
        return [line for line in lines if line is not None]

    def to_json(self) -> dict[str, Any]:
        return {
            "dataset": self.dataset,
            "ground_truth": self.ground_truth,
            "iou": self.iou,
            "images": self.images,
            "only_in_job": self.only_in_job,
            "only_in_ground_truth": self.only_in_ground_truth,
            "min_score": self.min_score,
            "min_score_by_class": self.min_score_by_class,
            **self.overall.to_json(),
            "classes": {figures.name: figures.to_json() for figures in self.classes},
            "confusion": self.confusion,
            "errors": {kind: asdict(each) for kind, each in self.errors.items()},
            "calibration": asdict(self.calibration),
            "labels_of_no_class": [asdict(each) for each in self.strays],
            "worst_images": [asdict(each) for each in self.worst],
            "notes": self.notes,
            "missed_gates": self.missed_gates,
        }
