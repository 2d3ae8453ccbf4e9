"""Right, wrong, missed; and what is neither."""

from florence_annotate.evaluation.boxes import Boxes
from florence_annotate.evaluation.matching import match

BOX, OTHER, CROWD = (10, 10, 60, 60), (100, 10, 150, 60), (0, 100, 200, 200)
SIZES = [(200, 200)] * 3


def test_every_kind_of_box() -> None:
    true, found = Boxes(), Boxes()
    true.add(0, 0, BOX)
    true.add(0, 1, OTHER)
    true.add(0, 1, CROWD, is_crowd=True)
    true.add(2, 0, BOX)
    found.add(0, 0, BOX, score=0.9)
    found.add(0, 0, (12, 10, 60, 60), score=0.8)  # the same again
    found.add(0, 0, OTHER, score=0.7)  # of another class
    found.add(0, 1, (20, 120, 60, 160), score=0.6)  # on the crowd
    found.add(1, 1, BOX, score=0.5)  # where nothing is
    matches = match(true, found, SIZES, 2, "bbox")
    assert matches.right.tolist() == [1, 0, 0, -1, 0]
    assert matches.seen.tolist() == [1, 0, -1, 0]
    assert matches.confusion.tolist() == [[1, 0, 1], [1, 0, 0], [1, 1, 0]]
    counts = {"class": 1, "localisation": 0, "both": 0, "duplicate": 1, "background": 1}
    assert matches.errors == {**counts, "missed": 1}


def test_more_than_a_hundred_boxes_of_a_class_on_an_image_count() -> None:
    true, found = Boxes(), Boxes()
    for number in range(150):
        x, y = 20 * (number % 15), 20 * (number // 15)
        true.add(0, 0, (x, y, x + 15, y + 15))
        found.add(0, 0, (x, y, x + 15, y + 15), score=0.5)
    matches = match(true, found, [(300, 300)], 1, "bbox")
    assert matches.right.sum() == matches.seen.sum() == matches.confusion[0, 0] == 150


def test_images_without_boxes() -> None:
    matches = match(Boxes(), Boxes(), SIZES, 2, "bbox")
    assert not len(matches.right) and not matches.confusion.any()


def test_all_images_count_however_many_are_compared_at_once() -> None:
    true, found = Boxes(), Boxes()
    for image in range(5000):
        if image % 3:
            true.add(image, image % 2, BOX)
        if image % 7:
            found.add(image, 0, BOX, score=0.5)
    matches = match(true, found, [(200, 200)] * 5000, 2, "bbox")
    at = {image for image in range(5000) if image % 7}
    right = [image % 3 != 0 and image % 2 == 0 for image in sorted(at)]
    assert matches.right.tolist() == [int(one) for one in right]
