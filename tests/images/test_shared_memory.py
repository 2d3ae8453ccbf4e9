import multiprocessing

import numpy as np
import pytest

from florence_annotate.images.shared_memory import Handover
from florence_annotate.types import Failure, ImageRef, Loaded, Picture

SIDE = 8
REFS = [ImageRef(name, name.encode(), 1, 0) for name in ("a", "b", "c")]


def batch() -> list[Loaded]:
    rising = np.arange(3 * SIDE * SIDE, dtype=np.uint8).reshape(3, SIDE, SIDE)
    return [
        Picture(REFS[0], "0" * 64, rising[None], 640, 480),
        Failure(REFS[1], "decode", "corrupt", "\N{CLOWN FACE}" * 5000),
        Picture(REFS[2], "1" * 64, 255 - rising[None], 1, 2**40),
    ]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_batch_comes_through_from_another_process(method: str) -> None:
    handover = Handover(2, 3, 1, SIDE)
    context = multiprocessing.get_context(method)
    reader = context.Process(target=handover.put, args=(1, batch()))
    reader.start()
    reader.join()
    assert reader.exitcode == 0
    first, failure, last = handover.take(1, REFS)
    for taken, put in ((first, batch()[0]), (last, batch()[2])):
        assert isinstance(taken, Picture)
        assert isinstance(put, Picture)
        assert (taken.ref, taken.sha, taken.width, taken.height) == (
            put.ref, put.sha, put.width, put.height,
        )  # fmt: skip
        assert np.array_equal(taken.pixels, put.pixels)
    assert isinstance(failure, Failure)
    assert (failure.ref, failure.stage, failure.kind) == (REFS[1], "decode", "corrupt")
    assert failure.message == "\N{CLOWN FACE}" * 1000  # cut, where it would not fit


def test_what_was_taken_stays_when_the_slot_is_used_again() -> None:
    handover = Handover(1, 3, 1, SIDE)
    handover.put(0, batch())
    (picture,) = handover.take(0, REFS)[:1]
    handover.put(0, batch()[2:])
    assert isinstance(picture, Picture)
    assert picture.pixels[0, 0, 0, 0] == 0


def test_slots_do_not_touch() -> None:
    handover = Handover(3, 3, 1, SIDE)
    for slot in range(3):
        handover.put(slot, batch()[slot:])
    assert [len(handover.take(slot, REFS[slot:])) for slot in range(3)] == [3, 2, 1]
