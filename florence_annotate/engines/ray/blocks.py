"""References in blocks: as they are handed out to actors, and as they come back when one died.

A block that was with an actor when it died is suspected, and from then on is given to an actor
alone. One that kills its actor twice is split, until one image remains: that one fails. So the
images around a harmful one come through, and the number of deaths is bounded.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from florence_annotate.types import Failure, ImageRef

LARGEST = 256
"""References of a block. What it costs the driver to hand one out is then far below a millisecond
an image, and what an actor takes down with it is soon done again."""
_SMALLEST = 8
"""As many as a batch on a CPU; an actor fills its batches out of several blocks."""
_DEATHS = 2
"""A block that was there so often when its actor died is split."""
_PIECES = 16
"""What it is split into: a block of 256 needs two steps to single images, each with two deaths."""


@dataclass(slots=True)
class Block:
    """References that are handed out together."""

    refs: dict[str, ImageRef]
    """Those whose outcome has not come yet, by their keys."""
    deaths: int = 0
    """How many actors died with it."""
    is_suspect: bool = False
    """Whether it, or what it is a piece of, was with an actor when that died."""

    @classmethod
    def of(cls, refs: Iterable[ImageRef], *, is_suspect: bool = False) -> "Block":
        return cls({ref.key: ref for ref in refs}, is_suspect=is_suspect)


class Blocks:
    """What is still to be handed out.

    Blocks get smaller towards the end, as in guided self-scheduling (Polychronopoulos and Kuck,
    1987), so that actors end at about the same time, and all have something to do in a small job.
    """

    def __init__(self, refs: Iterable[ImageRef], actors: int) -> None:
        self._refs = iter(refs)
        self._share = 2 * actors
        """A block is so small a part of what is known to come."""
        self._ahead: deque[ImageRef] = deque()
        self._suspects: deque[Block] = deque()

    @property
    def are_left(self) -> bool:
        """Whether there is still anything to hand out."""
        return bool(self._suspects) or self.size > 0

    @property
    def size(self) -> int:
        """How many references the next block has; 0 where there is none."""
        missing = self._share * LARGEST - len(self._ahead)
        self._ahead.extend(islice(self._refs, max(0, missing)))
        fair = min(LARGEST, max(_SMALLEST, len(self._ahead) // self._share))
        return min(fair, len(self._ahead))

    def next(self) -> Block:
        """The next block of references that nobody suspects."""
        return Block.of([self._ahead.popleft() for _ in range(self.size)])

    def next_suspect(self) -> Block | None:
        """A block to be given to an actor alone."""
        return self._suspects.popleft() if self._suspects else None

    def put_back(self, block: Block) -> None:
        """Take a block back that its actor never got."""
        self._ahead.extendleft(reversed(block.refs.values()))

    def mourn(self, block: Block, where: str) -> Failure | None:
        """Take a block back whose actor died on the machine `where`.

        Returns the failure of an image that is to blame for it.
        """
        block.deaths += 1
        block.is_suspect = True
        if block.deaths < _DEATHS:
            self._suspects.append(block)
        elif len(block.refs) > 1:
            pieces = [*_pieces(list(block.refs.values()))]
            self._suspects.extendleft(reversed(pieces))
        else:
            [ref] = block.refs.values()
            message = (
                "the process that annotates it dies, also when it is given this image alone "
                f"(last on {where})"
            )
            return Failure(ref, "annotate", "crashed", message)
        return None


def _pieces(refs: Sequence[ImageRef]) -> Iterator[Block]:
    size = -(-len(refs) // _PIECES)
    for start in range(0, len(refs), size):
        yield Block.of(refs[start : start + size], is_suspect=True)
