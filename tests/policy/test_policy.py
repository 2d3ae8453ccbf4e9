import json
from collections.abc import Callable

import pytest
from calls import calls_within

from florence_annotate.classes import parse_names
from florence_annotate.policy.policy import Policy, iou
from florence_annotate.policy.thresholds import Thresholds
from florence_annotate.reasons import Reason
from florence_annotate.tasks import DENSE_CAPTIONS, GROUNDING, OD, OPEN_VOCABULARY
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


def phrases(*said: str, find: Callable[[str], int | None] | None) -> list[str]:
    """What becomes of the boxes of phrases: the class id, or the reason for dropping it."""
    policy = Policy(IDS.get, find_phrase=find)
    fates = []
    for label in said:
        for task in (GROUNDING, DENSE_CAPTIONS):
            kept, dropped = policy.apply([instance(label, (0, 0, 9, 9), task=task)], 10, 10)
            fates.append(str(kept[0].class_id) if kept else str(dropped[0].reason))
    assert fates[::2] == fates[1::2]
    return fates[::2]


def test_labels_of_questions_about_phrases_map_by_their_head() -> None:
    known = parse_names("car,hat,photo")
    said = ("a red car", "a tree", "It", "the image", "a photo")
    expected = ["0", "no-class", "no-object", "no-object", "2"]
    assert phrases(*said, find=known.find_phrase) == expected
    assert phrases("car", "a red car", "it", find=None) == ["0", "no-class", "no-class"]
    by_name = Policy(known.find, find_phrase=known.find_phrase)
    for task in (OD, OPEN_VOCABULARY):
        _, dropped = by_name.apply([instance("a red car", (0, 0, 9, 9), task=task)], 10, 10)
        assert [drop.reason for drop in dropped] == ["no-class"]


def test_boxes_over_most_of_the_image_are_dropped_with_the_figure() -> None:
    boxes = [instance("car", (0, 0, 20, 9.1)), instance("car", (0, 0, 20, 8.9))]
    kept, dropped = Policy(IDS.get, Thresholds(max_area=0.9)).apply(boxes, 20, 10)
    assert [one.box for one in kept] == [(0, 0, 20, 8.9)]
    assert [(drop.reason, drop.detail) for drop in dropped] == [
        ("max-area", "0.9100 > 0.9 of the image")
    ]
    assert len(Policy(IDS.get).apply(boxes, 20, 10)[0]) == 2


def test_nms_across_classes_keeps_the_best_of_a_region() -> None:
    boxes = [
        instance("car", (0.0, 0.0, 10.0, 10.0), 0.6),
        instance("hat", (0.0, 0.0, 10.0, 9.5), 0.9),
        instance("car", (0.0, 0.0, 10.0, 9.0), 0.5),
        instance("car", (0.0, 0.0, 10.0, 5.0), 0.4),
    ]
    kept, dropped = Policy(IDS.get, Thresholds(nms_across_classes=0.7)).apply(boxes, 10, 10)
    assert [(k.label, k.score) for k in kept] == [("hat", 0.9), ("car", 0.4)]
    assert [drop.reason for drop in dropped] == ["nms-across-classes"] * 2
    assert dropped[0].detail == "IoU 0.95 with hat at 0.0, 0.0, 10.0, 9.5 (score 0.9000)"
    both = Thresholds(nms=0.4, nms_across_classes=0.7)
    _, dropped = Policy(IDS.get, both).apply(boxes, 10, 10)
    assert [drop.reason for drop in dropped] == ["nms-across-classes"] * 2
    _, dropped = Policy(IDS.get, Thresholds(nms=0.4)).apply(boxes, 10, 10)
    assert [drop.reason for drop in dropped] == ["nms", "nms"]


WHEELS: tuple[Box, ...] = ((0, 0, 100, 40), (0, 1, 40, 40), (61, 0, 100, 39))


@pytest.mark.parametrize(
    ("task", "drop", "is_dropped"),
    [
        (OPEN_VOCABULARY, None, True),
        (GROUNDING, None, True),
        (OD, None, False),
        (OD, True, True),
        (OPEN_VOCABULARY, False, False),
    ],
)
def test_a_box_around_others_of_its_class_is_dropped(
    task: str, drop: bool | None, is_dropped: bool
) -> None:
    said = [instance("car", box, 0.9 - 0.1 * n, task) for n, box in enumerate(WHEELS)]
    kept, dropped = Policy(IDS.get, Thresholds(drop_containers=drop)).apply(said, 200, 200)
    assert [one.box for one in kept] == list(WHEELS[is_dropped:])
    assert [(one.reason, one.detail) for one in dropped] == [
        ("container", "around 2 others")
    ] * is_dropped


def test_a_box_is_around_what_is_kept_of_its_own_class_alone() -> None:
    def fates(*said: tuple[str, float], **limits: float) -> list[str]:
        pairs = zip(WHEELS, said, strict=True)
        found = [instance(label, box, score, GROUNDING) for box, (label, score) in pairs]
        _, dropped = Policy(IDS.get, Thresholds(**limits)).apply(found, 200, 200)
        return [one.reason for one in dropped]

    assert fates(("car", 0.5), ("hat", 0.5), ("car", 0.5)) == []
    assert fates(("car", 0.5), ("car", 0.1), ("car", 0.5), min_score=0.3) == ["min-score"]
    # it goes before it can put its members out
    assert fates(("car", 0.9), ("car", 0.5), ("car", 0.5), nms=0.3) == ["container"]


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


def test_boxes_that_are_apart_are_not_held_to_each_other() -> None:
    policy = Policy(IDS.get, Thresholds(nms=0.5, nms_across_classes=0.7))

    def work(count: int) -> int:
        boxes = [(20.0 * x, 0.0, 20.0 * x + 10, 10.0) for x in range(count)]
        found = [instance("car", box) for box in boxes]
        return calls_within("geometry", lambda: policy.apply(found, 20 * count, 10))

    assert work(400) < 5 * work(100)
