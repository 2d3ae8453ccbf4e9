"""Images that look nearly the same, as neighbouring frames do: by the difference hash of the
library `imagehash`, which stays as it is when an image is resized, or saved with another quality.

Two of 64 bits each, of rows and of columns; images whose hashes differ in few bits are grouped.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from florence_annotate.images import codec
from florence_annotate.journal import Journal

MOST_DIFFERENT = 6
"""Bits of 128 in which two hashes may differ."""
_SIDE = 8
_BITS = 2 * _SIDE * _SIDE
_ONES = np.array([byte.bit_count() for byte in range(256)], np.uint8)
"""Of each byte."""


@dataclass(slots=True)
class NearIdentical:
    groups: list[list[str]] = field(default_factory=list)
    """Keys; the largest group first."""
    unread: dict[str, str] = field(default_factory=dict)
    """Key → why an image could not be read."""


def find_near_identical(journal: Journal, max_pixels: int) -> NearIdentical:
    """Groups among the annotated images of a job, each of which is read. What is linked by others
    is in one group."""
    found = NearIdentical()
    keys_of: dict[bytes, list[str]] = {}
    for ref in journal.annotated():
        try:
            image = codec.decode(codec.read_bytes(ref.path), max_pixels)
        except codec.UnreadableImageError as error:
            found.unread[ref.key] = str(error)
        else:
            keys_of.setdefault(_hash(image), []).append(ref.key)
    hashes = list(keys_of)
    groups = ([key for one in group for key in keys_of[hashes[one]]] for group in _linked(hashes))
    found.groups = sorted(
        (sorted(group) for group in groups if len(group) > 1),
        key=lambda group: (-len(group), group[0]),
    )
    return found


def _hash(image: object) -> bytes:
    import imagehash

    rows, columns = imagehash.dhash(image, _SIDE), imagehash.dhash_vertical(image, _SIDE)
    return np.packbits(np.concatenate([rows.hash.ravel(), columns.hash.ravel()])).tobytes()


def _linked(hashes: list[bytes]) -> Iterator[list[int]]:
    """Indices of hashes, in groups that pairs of similar ones make."""
    group_of = list(range(len(hashes)))

    def root(index: int) -> int:
        while group_of[index] != index:
            group_of[index] = group_of[group_of[index]]
            index = group_of[index]
        return index

    for one, others in _similar(hashes):
        for other in others:
            group_of[root(other)] = root(one)
    groups: dict[int, list[int]] = {}
    for index in range(len(hashes)):
        groups.setdefault(root(index), []).append(index)
    yield from groups.values()


def _similar(hashes: list[bytes]) -> Iterator[tuple[int, Iterable[int]]]:
    """Each hash, and those after it that are similar.

    Two that differ in at most so many bits are equal in one of one part more, so that only hashes
    that share a part are compared.
    """
    if not hashes:
        return
    array = np.frombuffer(b"".join(hashes), np.uint8).reshape(len(hashes), -1)
    bits = np.unpackbits(array, axis=1)
    for part in np.array_split(np.arange(_BITS), MOST_DIFFERENT + 1):
        sharing: dict[bytes, list[int]] = {}
        for index, key in enumerate(np.packbits(bits[:, part], axis=1)):
            sharing.setdefault(key.tobytes(), []).append(index)
        for members in sharing.values():
            indices = np.array(members)
            for place, one in enumerate(members[:-1]):
                after = indices[place + 1 :]
                differing = _ONES[array[after] ^ array[one]].sum(axis=1)
                yield one, after[differing <= MOST_DIFFERENT].tolist()
