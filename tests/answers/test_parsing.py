import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from written_answers import answer

from florence_annotate import tasks
from florence_annotate.answers import parsing
from florence_annotate.geometry import locations
from florence_annotate.tasks import OPEN_VOCABULARY
from florence_annotate.types import Answer, Dropped, Instance, TokenKind

WIDTH, HEIGHT = 640, 480


def test_the_car_of_the_model_card_is_where_it_was_published() -> None:
    instances, dropped = parsing.parse(answer("car", 52, 332, 932, 774), WIDTH, HEIGHT)
    assert [instance.label for instance in instances] == ["car"]
    assert instances[0].box == pytest.approx((33.6, 159.6, 596.8, 371.76))
    assert dropped == []


@given(st.integers(0, 999), st.integers(1, 20_000))
def test_a_bin_survives_the_way_to_pixels_and_back(bin_index: int, size: int) -> None:
    assert locations.to_bin(locations.to_pixels(bin_index, size), size) == bin_index


@given(st.data(), st.integers(1, 20_000))
def test_a_position_is_off_by_at_most_half_a_bin(data: st.DataObject, size: int) -> None:
    position = data.draw(st.floats(0, size))
    back = locations.to_pixels(locations.to_bin(position, size), size)
    assert abs(back - position) <= size / 1000 / 2 * (1 + 1e-9)


def test_one_phrase_may_have_several_boxes_and_several_tokens() -> None:
    spoken = answer("door", " handle", 1, 2, 3, 4, 5, 6, 7, 8, "car", 9, 10, 11, 12, "</s>")
    instances, dropped = parsing.parse(spoken, 1000, 1000)
    assert [instance.label for instance in instances] == ["door handle", "door handle", "car"]
    assert instances[1].box == (5.5, 6.5, 7.5, 8.5)
    assert dropped == []


def test_the_score_is_the_geometric_mean_of_label_and_own_location_tokens() -> None:
    logprobs = [math.log(p) for p in (0.5, 0.9, 0.9, 0.9, 0.9, 0.2, 0.2, 0.2, 0.2)]
    spoken = answer("car", 1, 2, 3, 4, 5, 6, 7, 8, logprobs=logprobs)
    first, second = parsing.parse(spoken, 1000, 1000)[0]
    assert first.score == pytest.approx((0.5 * 0.9**4) ** (1 / 5))
    assert second.score == pytest.approx((0.5 * 0.2**4) ** (1 / 5))


def test_bins_that_make_no_box_are_dropped_with_a_reason() -> None:
    instances, dropped = parsing.parse(answer("car", 1, 2, 3, 4, 5, 6), 1000, 1000)
    assert len(instances) == 1
    assert [(drop.label, drop.reason) for drop in dropped] == [("car", "torn-box")]


def test_a_phrase_without_a_location_is_dropped_with_a_reason() -> None:
    instances, dropped = parsing.parse(answer("car", "</s>"), 1000, 1000)
    assert instances == []
    assert [(drop.label, drop.reason) for drop in dropped] == [("car", "no-box")]


def test_labels_keep_every_character() -> None:
    instances, _ = parsing.parse(answer("自動車", 1, 2, 3, 4), 1000, 1000)
    assert instances[0].label == "自動車"


def test_printed_location_tokens_are_text() -> None:
    spoken = answer("sign", 1, 2, 3, 4)
    printed = Answer(
        spoken.question, b"sign<loc_7>" + spoken.data[4:],
        (4, 11, *(end + 7 for end in spoken.ends[1:])),
        (TokenKind.TEXT, TokenKind.TEXT, *spoken.kinds[1:]), (0.0,) * 6, False,
    )  # fmt: skip
    assert parsing.parse(printed, 1000, 1000)[0][0].label == "sign<loc_7>"


def test_polygons_become_instances_with_their_bounds_as_box() -> None:
    spoken = answer(
        "cat", "<poly>", 10, 10, 20, 10, 20, 30, "<sep>", 50, 50, 60, 50, 60, 70, "</poly>",
        "<poly>", 100, 100, 200, 100, 150, 300, "</poly>", task=OPEN_VOCABULARY,
    )  # fmt: skip
    instances, dropped = parsing.parse(spoken, 1000, 1000)
    assert [len(instance.polygons) for instance in instances] == [2, 1]
    assert instances[0].box == (10.5, 10.5, 60.5, 70.5)
    assert instances[1].box == (100.5, 100.5, 200.5, 300.5)
    assert dropped == []


def test_polygons_of_under_three_points_are_dropped_with_a_reason() -> None:
    instances, dropped = parsing.parse(answer("cat", "<poly>", 1, 2, 3, 4, 5), 1000, 1000)
    assert instances == []
    assert [drop.reason for drop in dropped] == ["torn-polygon"]


TOKENS = st.one_of(
    st.integers(0, 999),
    st.sampled_from(["car", " door", " ", "<poly>", "</poly>", "<sep>", "<and>", "</s>"]),
)


LOCATED = [task.token for task in tasks.TASKS if task.gives is not tasks.Gives.TEXT]


@given(
    st.sampled_from(LOCATED),
    st.lists(TOKENS, max_size=40),
    st.integers(1, 5000),
    st.integers(1, 5000),
)
def test_any_sequence_of_tokens_reads_and_stays_in_the_picture(
    task: str, tokens: list[str | int], width: int, height: int
) -> None:
    for instance in parsing.parse(answer(*tokens, task=task), width, height)[0]:
        outlines = (*instance.polygons, *([instance.quad] if instance.quad else []))
        points = [point for outline in outlines for point in outline]
        corners = [instance.box[:2], instance.box[2:]]
        assert all(0 < x < width and 0 < y < height for x, y in [*points, *corners])
        assert all(len(polygon) >= 3 for polygon in instance.polygons)
        assert len(instance.quad) in (0, 4)


def used_locations(instances: list[Instance], dropped: list[Dropped]) -> int:
    """Location tokens that came out as an instance, or are told in the detail of what was torn."""
    used = sum(2 * sum(map(len, one.polygons)) or (8 if one.quad else 4) for one in instances)
    for torn in dropped:
        count = int(torn.detail.split()[0]) if torn.reason != "no-box" else 0
        used += 2 * count if torn.reason == "torn-polygon" else count
    return used


@given(st.sampled_from(LOCATED), st.lists(TOKENS, max_size=40))
def test_nothing_that_was_said_is_lost_without_a_reason(task: str, tokens: list[str | int]) -> None:
    instances, dropped = parsing.parse(answer(*tokens, task=task), 1000, 1000)
    locations = [isinstance(token, int) for token in tokens]
    # a point of an outline takes two; each run of locations may leave one without a partner
    runs = sum(here and not before for before, here in pairwise([False, *locations]))
    assert sum(locations) - runs <= used_locations(instances, dropped) <= sum(locations)
    if not {"<poly>", "</poly>", "<sep>"} & set(tokens) and "SEGMENTATION" not in task:
        assert used_locations(instances, dropped) == sum(locations)
    phrases, is_new = [""], False
    for token in tokens:
        if isinstance(token, int) or token == "<and>":
            is_new = True
        elif not token.startswith("<"):
            phrases = [*phrases, token] if is_new else [*phrases[:-1], phrases[-1] + token]
            is_new = False
    told = {one.text or one.label for one in instances} | {one.label for one in dropped}
    assert {phrase.strip() for phrase in phrases} - {""} <= told


@given(st.lists(TOKENS, max_size=40))
def test_locations_never_leak_into_text(tokens: list[str | int]) -> None:
    text, score = parsing.parse_text(answer(*tokens, task="<OCR>"))
    assert "<" not in text and 0 <= score <= 1


def test_printed_text_keeps_its_four_corners() -> None:
    said = answer("EXIT", 10, 20, 30, 22, 29, 40, 9, 38, "犬", 1, 2, 3, task="<OCR_WITH_REGION>")
    (instance,), (torn,) = parsing.parse(said, 1000, 1000)
    assert instance.text == "EXIT"
    assert instance.quad == ((10.5, 20.5), (30.5, 22.5), (29.5, 40.5), (9.5, 38.5))
    assert instance.box == (9.5, 20.5, 30.5, 40.5)
    assert (torn.label, torn.reason) == ("犬", "torn-quad")


def test_a_control_token_separates_phrases() -> None:
    spoken = answer("person", "<and>", "car", 1, 2, 3, 4, "<and>", "hat", 5, 6, 7, 8)
    instances, dropped = parsing.parse(spoken, 1000, 1000)
    assert [(one.label, one.box[0]) for one in instances] == [("car", 1.5), ("hat", 5.5)]
    assert [(one.label, one.reason) for one in dropped] == [("person", "no-box")]


def test_phrases_of_a_text_have_a_comma_between_them() -> None:
    spoken = answer("person", "<and>", " car", "<and>", task="<REGION_TO_CATEGORY>")
    assert parsing.parse_text(spoken) == ("person, car", 1.0)
