import json

import pytest

from florence_annotate.policy.policy import Policy, iou
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.reasons import Reason
from florence_annotate.tasks import OD, OPEN_VOCABULARY
from florence_annotate.types import Box, Instance, KeptInstance

IDS = {"car": 0, "hat": 1}


def instance(label: str, box: Box, score: float = 0.5, task: str = OD) -> Instance:
    return Instance(label, score, box, task)


def test_reversed_corners_are_put_in_order_and_clipped() -> None:
    kept, dropped = Policy(IDS.get).apply([instance("car", (60.0, 90.0, -5.0, 10.0))], 50, 100)
    assert [k.box for k in kept] == [(0.0, 10.0, 50.0, 90.0)]
    assert kept[0].class_id == 0
    assert dropped == []


@pytest.mark.parametrize(
    ("label", "box", "reason"),
    [
        ("car", (1.0, 1.0, 1.0, 9.0), "zero-area"),
        ("car", (200.0, 1.0, 300.0, 9.0), "zero-area"),
        ("dog", (1.0, 1.0, 5.0, 9.0), "no-class"),
        ("", (1.0, 1.0, 5.0, 9.0), "no-label"),
    ],
)
def test_what_makes_no_instance_is_dropped_with_a_reason(label: str, box: Box, reason: str) -> None:
    kept, dropped = Policy(IDS.get).apply([instance(label, box)], 100, 100)
    assert kept == []
    assert [(drop.label, drop.reason) for drop in dropped] == [(label, reason)]


def test_of_exact_duplicates_the_better_score_stays() -> None:
    box = (1.0, 1.0, 5.0, 9.0)
    kept, dropped = Policy(IDS.get).apply(
        [instance("car", box, 0.4), instance("car", box, 0.6), instance("hat", box, 0.1)], 10, 10
    )
    assert [(k.label, k.score) for k in kept] == [("car", 0.6), ("hat", 0.1)]
    assert [(drop.score, drop.reason) for drop in dropped] == [(0.4, "duplicate")]


def test_low_scores_are_dropped_with_the_figure() -> None:
    policy = Policy(IDS.get, Thresholds(min_score=0.5))
    kept, dropped = policy.apply([instance("car", (1.0, 1.0, 5.0, 9.0), 0.49)], 10, 10)
    assert kept == []
    assert (dropped[0].reason, dropped[0].detail) == ("min-score", "0.4900 < 0.5")


def test_nms_is_by_class_and_names_the_winner() -> None:
    boxes = [
        instance("car", (0.0, 0.0, 10.0, 10.0), 0.6),
        instance("car", (0.0, 0.0, 10.0, 9.0), 0.9),
        instance("hat", (0.0, 0.0, 10.0, 9.5), 0.5),
    ]
    kept, dropped = Policy(IDS.get, Thresholds(nms=0.7)).apply(boxes, 10, 10)
    assert [(k.label, k.score) for k in kept] == [("car", 0.9), ("hat", 0.5)]
    assert dropped[0].reason == "nms"
    assert dropped[0].detail == "IoU 0.90 with car at 0.0, 0.0, 10.0, 9.0 (score 0.9000)"


def test_od_does_not_repeat_what_a_prompt_of_its_own_looks_for() -> None:
    policy = Policy(IDS.get, prompted=frozenset({1}))
    found = [
        instance("hat", (0.0, 0.0, 9.0, 9.0)),
        instance("hat", (1.0, 0.0, 9.0, 9.0), task=OPEN_VOCABULARY),
    ]
    kept, dropped = policy.apply(found, 10, 10)
    assert [k.task for k in kept] == [OPEN_VOCABULARY]
    assert [drop.reason for drop in dropped] == ["asked-by-prompt"]


def test_iou_is_intersection_over_union() -> None:
    assert iou((0.0, 0.0, 2.0, 2.0), (1.0, 1.0, 3.0, 3.0)) == pytest.approx(1 / 7)
    assert iou((0.0, 0.0, 1.0, 1.0), (1.0, 0.0, 2.0, 1.0)) == 0


def test_every_reason_is_a_name_and_a_sentence() -> None:
    for reason in Reason:
        assert json.loads(json.dumps({reason: reason})) == {reason.value: reason.value}
        assert reason.sentence and not reason.sentence.endswith(".")
    assert Reason("nms") is Reason.NMS


def test_a_kept_instance_is_what_it_was_with_a_class() -> None:
    kept = KeptInstance.of(Instance("car", 0.5, (1, 2, 3, 4), OD, text="ABC"), 3)
    assert (kept.label, kept.text, kept.class_id) == ("car", "ABC", 3)
