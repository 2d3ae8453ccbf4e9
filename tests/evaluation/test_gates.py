"""What a pipeline may ask, and how it misses it."""

import pytest

from florence_annotate.errors import UsageError
from florence_annotate.evaluation.gates import Gate, missed, parse, with_classes


def test_figures_of_all_and_of_a_class() -> None:
    gates = parse("AP50=0.6, traffic light.precision=0.9,v1.5.recall=1")
    assert gates == [
        Gate("ap50", 0.6),
        Gate("precision", 0.9, "traffic light"),
        Gate("recall", 1.0, "v1.5"),
    ]
    named = with_classes(gates, ["Traffic_Light", "v1.5"])
    assert [gate.name for gate in named] == ["ap50", "Traffic_Light.precision", "v1.5.recall"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ap_smal=0.5", "no figure 'ap_smal': did you mean ap_small?"),
        ("car.precison=0.5", "no figure 'precison' of a class in car.precison: did you mean"),
        ("ap50", "ap50= won't do"),
        ("ap50=60", "ap50=60 won't do"),
        ("ap50=nan", "ap50=nan won't do"),
        ("ap50=0.5,ap50=0.6", "ap50 is named twice"),
        (" , ", "it is empty"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("?", r"\?")):
        parse(text)


def test_a_class_that_is_not_evaluated_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no class 'tree' is evaluated: did you mean trees\?"):
        with_classes(parse("tree.ap=0.1"), ["car", "trees"])


def test_how_a_gate_is_missed() -> None:
    gate = Gate("ap50", 0.6)
    assert missed(gate, 0.6) is None
    assert missed(gate, 0.59996) == "ap50 is 0.6000, under 0.6"
    assert "can't be told" in (missed(gate, None) or "")
