"""Boxes around several others of their class, on a hundred made cases."""

import random

import pytest

from florence_annotate.geometry.boxes import area, around
from florence_annotate.policy.containers import find_containers
from florence_annotate.types import Box

WIDTH, HEIGHT = 1000, 800
Case = tuple[str, list[Box], int | None]
"""What it shows, boxes, and the index of the one that is around others."""


def box(x: float, y: float, width: float, height: float) -> Box:
    return x, y, x + width, y + height


def as_said(boxes: list[Box]) -> list[Box]:
    """Boxes as the model says them: in thousandths of the image."""

    def said(edge: float, side: int) -> float:
        return (min(max(int(edge / side * 1000), 0), 999) + 0.5) * side / 1000

    return [
        (said(x1, WIDTH), said(y1, HEIGHT), said(x2, WIDTH), said(y2, HEIGHT))
        for x1, y1, x2, y2 in boxes
    ]


def within(outer: Box, left: float, top: float, right: float, bottom: float) -> Box:
    """A box in parts of another one's sides."""
    width, height = outer[2] - outer[0], outer[3] - outer[1]
    return (
        outer[0] + left * width, outer[1] + top * height,
        outer[0] + right * width, outer[1] + bottom * height,
    )  # fmt: skip


def jittered(outer: Box, chance: random.Random, part: float) -> Box:
    """A box whose edges are each off by up to a part of its sides."""
    off = [chance.uniform(-part, part) for _ in range(4)]
    return within(outer, off[0], off[1], 1 + off[2], 1 + off[3])


def groups(chance: random.Random) -> list[Case]:
    """Fifty boxes around two to six objects of a class, as models draw them."""
    cases: list[Case] = []
    while len(cases) < 50:
        members = []
        for _ in range(2 + len(cases) % 5):
            width = chance.uniform(40, 200)
            height = width * chance.uniform(0.4, 2)
            members.append(box(chance.uniform(50, 700), chance.uniform(50, 350), width, height))
        hull = around(members)
        if max(map(area, members)) < 0.6 * area(hull):
            cases.append(("a group", [jittered(hull, chance, 0.02), *members], 0))
    return cases


def nested(chance: random.Random) -> list[Case]:
    """Fifty things that hold others of their class, and crowds that nothing is around."""
    cases: list[Case] = []
    for _ in range(10):
        outer = box(
            chance.uniform(0, 400), chance.uniform(0, 300), *chance.choices((200, 300, 450), k=2)
        )
        rim = chance.uniform(0.06, 0.4)
        wheel = [outer, within(outer, rim, rim, 1 - rim, 1 - rim)]
        hub = [*wheel, within(outer, 0.45, 0.45, 0.55, 0.55)]
        doll = [outer, within(outer, chance.uniform(0, 0.4), 0.35, chance.uniform(0.6, 1), 0.7)]
        two_dolls = [outer, within(outer, 0, 0.4, 0.3, 0.7), within(outer, 0.7, 0.4, 1, 0.7)]
        lap = [outer, within(outer, 0.1, 0.3, 0.6, 1), within(outer, 0.5, 0.5, 1.2, 1)]
        shelf = [
            outer,
            *(within(outer, 0.06, y, 0.94, y + 0.2) for y in (0.08, 0.3, 0.52, 0.74)),
        ]
        cases += [
            ("a wheel in a wheel", wheel if rim > 0.2 else hub, None),
            ("a person who holds a doll", doll, None),
            ("a person with a doll in each hand", two_dolls, None),
            ("a person with children before them", lap, None),
            ("a box of boxes", shelf, None),
        ]
    return cases


CASES = [
    (name, as_said(boxes), expected)
    for name, boxes, expected in (*groups(random.Random(1)), *nested(random.Random(2)))
]


def test_there_are_a_hundred() -> None:
    assert len(CASES) == 100


@pytest.mark.parametrize("case", CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_a_box_around_others_is_told_from_a_thing_that_holds_others(case: Case) -> None:
    """Of the hundred, every group is found, and nothing else: precision and recall are 1."""
    _, boxes, expected = case
    found = find_containers(boxes, WIDTH, HEIGHT)
    assert list(found) == ([] if expected is None else [expected])
    assert all(area(boxes[i]) < area(boxes[0]) for members in found.values() for i in members)


def test_a_crowd_of_random_boxes_seldom_makes_a_container_by_chance() -> None:
    """Three to twelve boxes of persons an image, 2,000 images: 1 box in 1,000 at most."""
    chance, boxes_in_all, found = random.Random(3), 0, 0
    for _ in range(2000):
        crowd = []
        for _ in range(chance.randint(3, 12)):
            height = 800 * chance.uniform(0.1, 0.9)
            width = height * chance.uniform(0.3, 0.9)
            crowd.append(
                box(chance.uniform(0, 1000 - width), chance.uniform(0, 800 - height), width, height)
            )
        boxes_in_all += len(crowd)
        found += len(find_containers(as_said(crowd), WIDTH, HEIGHT))
    assert found <= boxes_in_all / 1000


def test_a_box_around_two_is_none() -> None:
    two = [box(0, 0, 100, 100), box(0, 0, 40, 100)]
    assert find_containers(two, WIDTH, HEIGHT) == {}
    assert find_containers([], WIDTH, HEIGHT) == {}


def test_a_box_that_comes_twice_is_around_the_same() -> None:
    one, other = box(10, 10, 50, 50), box(80, 20, 50, 50)
    hull = around([one, other])
    found = find_containers([hull, one, hull, other], WIDTH, HEIGHT)
    assert found == {0: [1, 3], 2: [1, 3]}
