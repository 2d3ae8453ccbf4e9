"""What changed of one image."""

from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.reports.changes import Change, Kind, Thing, changes

BOX = (10.0, 10.0, 50.0, 50.0)
NEAR = (12.0, 10.0, 50.0, 50.0)
ELSEWHERE = (60.0, 60.0, 90.0, 90.0)


def car(box: tuple[float, float, float, float] = BOX, score: float = 0.5) -> Thing:
    return Thing("car", box, score)


def dog(box: tuple[float, float, float, float] = BOX, score: float = 0.5) -> Thing:
    return Thing("dog", box, score)


def test_each_way_to_change() -> None:
    assert changes([car()], [car()]) == []
    assert changes([car()], [car(score=0.5009)]) == []
    assert changes([car()], [car(score=0.502)]) == [Change(Kind.RESCORED, "car")]
    assert changes([car()], [car(NEAR, 0.9)]) == [Change(Kind.MOVED, "car")]
    assert changes([car()], [dog(NEAR)]) == [Change(Kind.RELABELLED, "car", "dog")]
    assert changes([car()], [car(ELSEWHERE)]) == [
        Change(Kind.REMOVED, "car"),
        Change(Kind.ADDED, "car"),
    ]
    assert changes([], [dog()]) == [Change(Kind.ADDED, "dog")]


def test_half_of_the_place_is_the_same_place() -> None:
    half, less = (10.0, 10.0, 50.0, 30.0), (10.0, 10.0, 50.0, 29.0)
    assert [change.kind for change in changes([car()], [car(half)])] == [Kind.MOVED]
    assert [change.kind for change in changes([car()], [car(less)])] == [Kind.REMOVED, Kind.ADDED]


def test_the_class_goes_before_the_place_and_the_nearest_before_others() -> None:
    assert changes([car()], [dog(), car(NEAR)]) == [
        Change(Kind.MOVED, "car"),
        Change(Kind.ADDED, "dog"),
    ]
    far = (16.0, 10.0, 50.0, 50.0)
    assert changes([car()], [car(far), car(NEAR)]) == [
        Change(Kind.MOVED, "car"),
        Change(Kind.ADDED, "car"),
    ]
    assert changes([car(), dog()], [dog(), car()]) == []
    assert changes([car(), car()], [car()]) == [Change(Kind.REMOVED, "car")]


edges = st.integers(0, 6).map(lambda edge: 10.0 * edge)
things = st.lists(
    st.builds(
        lambda name, x, y, w, h, score: Thing(name, (x, y, x + w + 10, y + h + 10), score / 10),
        *(st.sampled_from("ab"), edges, edges, edges, edges, st.integers(0, 10)),
    ),
    max_size=5,
)


@given(things, things)
def test_the_counts_add_up_and_the_way_back_is_as_long(
    before: list[Thing], after: list[Thing]
) -> None:
    found = [change.kind for change in changes(before, after)]
    gone, new = found.count(Kind.REMOVED), found.count(Kind.ADDED)
    assert len(before) - gone == len(after) - new
    assert len(found) - new <= len(before)
    back = [change.kind for change in changes(after, before)]
    assert sorted(before) != sorted(after) or not found
    assert bool(back) == bool(found)
