"""Which split an image belongs to."""

import hashlib
from collections.abc import Callable, Mapping


def splitter(shares: Mapping[str, float], seed: int) -> Callable[[str], str]:
    """A function from what tells an image from others to its split, by a hash of it and the seed:
    it depends on no other image, so that none moves when images are added.

    That is the hash of its content, so that identical images are in one split; in older jobs its
    key. `shares` are the parts of the whole, above 0, that add up to 1; `seed` mixes the images
    anew.
    """

    def split_of(identity: str) -> str:
        digest = hashlib.sha256(f"{seed}\0{identity}".encode()).digest()
        position = int.from_bytes(digest[:8], "big") / 2**64
        for name, share in shares.items():
            if position < share:
                return name
            position -= share
        return next(iter(shares))  # the shares' sum, rounded, fell short of 1

    return split_of
