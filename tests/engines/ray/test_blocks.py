"""References as they are handed out to actors, and as they come back when one died."""

from collections.abc import Iterator

import pytest

from florence_annotate.engines.ray.blocks import LARGEST, Block, Blocks
from florence_annotate.types import Failure, ImageRef


def refs(count: int) -> list[ImageRef]:
    return [ImageRef(f"{index:04}.jpg", b"", 0, 0) for index in range(count)]


def sizes(blocks: Blocks) -> list[int]:
    found = []
    while blocks.size:
        found.append(len(blocks.next().refs))
    return found


def test_each_reference_is_handed_out_once_in_its_order() -> None:
    blocks = Blocks(refs(3000), actors=2)
    keys: list[str] = []
    while blocks.are_left:
        keys += blocks.next().refs
    assert keys == [ref.key for ref in refs(3000)]
    assert not blocks.are_left


def test_blocks_are_whole_in_a_long_job_and_get_smaller_towards_its_end() -> None:
    found = sizes(Blocks(refs(10_000), actors=4))
    assert found[:20] == [LARGEST] * 20
    assert found == sorted(found, reverse=True)
    assert found[-2] <= 8


def test_a_small_job_has_something_for_every_actor() -> None:
    assert sizes(Blocks(refs(60), actors=4))[:4] == [8, 8, 8, 8]
    assert sizes(Blocks(refs(100), actors=1))[0] == 50


def test_no_more_is_read_than_is_soon_handed_out() -> None:
    read = 0

    def counted() -> Iterator[ImageRef]:
        nonlocal read
        for ref in refs(100_000):
            read += 1
            yield ref

    blocks = Blocks(counted(), actors=2)
    blocks.next()
    assert read == 2 * 2 * LARGEST


def test_what_an_actor_never_got_is_handed_out_again_without_suspicion() -> None:
    blocks = Blocks(refs(20), actors=1)
    first = blocks.next()
    blocks.put_back(first)
    again = blocks.next()
    assert (again.refs, again.is_suspect) == (first.refs, False)


def test_one_death_makes_a_block_suspected_as_a_whole() -> None:
    blocks = Blocks([], actors=2)
    assert blocks.mourn(Block.of(refs(256)), "here") is None
    suspect = blocks.next_suspect()
    assert suspect is not None
    assert (len(suspect.refs), suspect.is_suspect, blocks.next_suspect()) == (256, True, None)


@pytest.mark.parametrize(("count", "place"), [(256, 77), (256, 255), (100, 0), (3, 1), (1, 0)])
def test_an_image_that_kills_fails_alone_after_few_deaths(count: int, place: int) -> None:
    """The actor here dies of one image, as late as it can: with all others of the block done."""
    blocks = Blocks(refs(count), actors=1)
    killer = f"{place:04}.jpg"
    deaths, done, failures = 0, set(), []
    while blocks.are_left:
        block = blocks.next_suspect() or blocks.next()
        if killer in block.refs:
            deaths += 1
            if failure := blocks.mourn(block, "there"):
                failures.append(failure)
        else:
            done |= block.refs.keys()
    assert done == {ref.key for ref in refs(count)} - {killer}
    assert [(one.ref.key, one.stage, one.kind) for one in failures] == [
        (killer, "annotate", "crashed")
    ]
    assert "last on there" in failures[0].message
    assert deaths <= 6


def test_an_innocent_image_beside_one_that_kills_is_no_failure() -> None:
    blocks = Blocks([], actors=1)
    alone, other = Block.of(refs(1)), Block.of(refs(2)[1:])
    assert not blocks.mourn(alone, "here") and not blocks.mourn(other, "here")
    # from now on each is alone: the first does its image, the second dies again
    first, second = blocks.next_suspect(), blocks.next_suspect()
    assert first is alone and second is other
    assert isinstance(blocks.mourn(second, "here"), Failure)
    assert not blocks.are_left
