"""Captions of a scene."""

from known_truth import CROSS, SCENE, STAR

from training import captions


def test_objects_are_named_from_left_to_right() -> None:
    assert captions.caption(SCENE.objects) == "a green star, a red star and a blue cross"
    assert captions.caption([]) == "an empty picture"


def test_longer_ones_tell_number_place_and_size() -> None:
    assert captions.detailed_caption([STAR, CROSS]) == (
        "The image shows two objects: a red star at the top left and a blue cross at the centre."
    )
    assert captions.more_detailed_caption([CROSS]) == (
        "The image shows one object. A large blue cross is at the centre."
    )
    assert captions.detailed_caption([]) == "The image shows no objects."
