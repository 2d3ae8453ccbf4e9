"""Parts of a job's images, by a hash of their keys: what one task of a job array does."""

import hashlib
import re
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Shard:
    """One of several parts of about the same size; every image is in one of them, for good."""

    index: int
    """From 1."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """`3/8`. Raises ValueError."""
        match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text, re.ASCII)
        shard = cls(int(match[1]), int(match[2])) if match else None
        if shard is None or not 1 <= shard.index <= shard.count:
            raise ValueError("write the part and how many there are, as in 1/8 to 8/8")
        return shard

    def holds(self, key: str) -> bool:
        """Whether an image is in this part: by the first eight bytes of the SHA-256 of its key in
        UTF-8, as a big-endian number, modulo the number of parts, from 0."""
        digest = hashlib.sha256(key.encode()).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
