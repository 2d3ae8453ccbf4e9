"""Which split an image belongs to."""

import hashlib
from collections.abc import Callable, Mapping


def splitter(shares: Mapping[str, float], seed: int) -> Callable[[str], str]:
    """A function from a key to its split, by a hash of key and seed: it depends on no other
    picture, so that none moves when pictures are added."""

    def split_of(key: str) -> str:
        digest = hashlib.sha256(f"{seed}\0{key}".encode()).digest()
        place = int.from_bytes(digest[:8], "big") / 2**64
        for name, share in shares.items():
            if place < share:
                return name
            place -= share
        return next(iter(shares))  # the shares' sum, rounded, fell short of 1

    return split_of
