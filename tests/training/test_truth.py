"""What is true of a scene, in location bins."""

from florence_annotate.shapes.scenes import paint
from training.truth import mirrored, truth_of


def test_outlines_begin_at_the_top_and_keep_to_the_box() -> None:
    for seed in range(30):
        for target in truth_of(paint(seed)).objects:
            xs, ys = target.polygon[0::2], target.polygon[1::2]
            assert ys[0] == min(ys) and 3 <= len(xs) <= 12
            box = (min(xs), min(ys), max(xs), max(ys))
            assert all(abs(a - b) <= 12 for a, b in zip(box, target.bins, strict=True))


def test_mirrored_twice_is_as_it_was() -> None:
    for seed in range(20):
        truth = truth_of(paint(seed))
        once = mirrored(truth)
        assert mirrored(once).objects == truth.objects
        assert once.words == ()
        for plain, flipped in zip(truth.objects, once.objects, strict=True):
            x1, y1, x2, y2 = plain.bins
            assert flipped.bins == (999 - x2, y1, 999 - x1, y2)
