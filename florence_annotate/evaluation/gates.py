"""What a pipeline asks of an evaluation: `ap50=0.6,car.precision=0.9`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from florence_annotate.classes.spelling import normalise
from florence_annotate.declaration import as_pairs
from florence_annotate.errors import UsageError, nearest

OVERALL = (
    *("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large"),
    *("ar", "ar_small", "ar_medium", "ar_large", "precision", "recall", "f1"),
)
"""Figures over all classes that may be asked for."""
OF_A_CLASS = ("ap", "ap50", "ap75", "ar", "precision", "recall", "f1")
"""Figures of one class."""


@dataclass(frozen=True, slots=True)
class Gate:
    figure: str
    least: float
    class_name: str | None = None
    """None: over all classes."""

    @property
    def name(self) -> str:
        return self.figure if self.class_name is None else f"{self.class_name}.{self.figure}"


def parse(text: str) -> list[Gate]:
    """Gates as they are written. Raises UsageError for what is none, with the nearest name."""
    written = ",".join(part for part in text.split(",") if part.strip())
    if not written:
        raise UsageError("--fail-under: it is empty: write figures, as ap50=0.6,car.recall=0.9")
    try:
        pairs = as_pairs(written)
    except ValueError as error:
        raise UsageError(f"--fail-under: {error}: once is enough") from error
    return [_gate(name, value) for name, value in pairs.items()]


def _gate(name: str, value: str) -> Gate:
    try:
        least = float(value)
    except ValueError:
        least = -1.0
    if not 0 <= least <= 1:
        raise UsageError(
            f"--fail-under: {name}={value} won't do: write a figure and the least that it may be, "
            "0 to 1, as ap50=0.6"
        )
    figure = name.lower()
    if figure in OVERALL:
        return Gate(figure, least)
    class_name, dot, own = name.rpartition(".")
    if not dot:
        raise _unknown(name, OVERALL)
    if own.lower() not in OF_A_CLASS:
        raise _unknown(own, OF_A_CLASS, f" of a class in {name}")
    return Gate(own.lower(), least, class_name)


def _unknown(name: str, known: Sequence[str], where: str = "") -> UsageError:
    hint = nearest(name.lower(), known) or f"choose from {', '.join(known)}"
    return UsageError(f"--fail-under: there is no figure {name!r}{where}: {hint}")


def with_classes(gates: Iterable[Gate], names: Sequence[str]) -> list[Gate]:
    """The gates with the classes as they are spelled. Raises UsageError for one that is not
    evaluated, with the nearest name."""
    spelled = {normalise(name): name for name in names}
    found = []
    for gate in gates:
        if gate.class_name is not None:
            name = spelled.get(normalise(gate.class_name))
            if name is None:
                hint = nearest(gate.class_name, names) or f"they are {', '.join(names)}"
                raise UsageError(
                    f"--fail-under: {gate.name}: no class {gate.class_name!r} is evaluated: {hint}"
                )
            gate = Gate(gate.figure, gate.least, name)
        found.append(gate)
    return found


def missed(gate: Gate, value: float | None) -> str | None:
    """How a value does not reach the gate; None where it does."""
    if value is None:
        return f"{gate.name} can't be told, for want of boxes, and {gate.least:g} is asked"
    return f"{gate.name} is {value:.4f}, under {gate.least:g}" if value < gate.least else None
