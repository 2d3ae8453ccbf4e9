"""Which split an image belongs to that has none yet."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Self

from florence_annotate.config.dataset_settings import DEFAULT_SHARES, FOLDER
from florence_annotate.config.job_spec import JobSpec
from florence_annotate.journal import Journal
from florence_annotate.labels.splits import SplitLists, find_tops, split_of_folder
from florence_annotate.types import SPLITS, ImageRef

BEGUN_WITH = "split_rule"
"""The value of a job that keeps what `begin` gave its first run; None in older ones."""
RULE = "split_rule"
"""In the policy of an export: the whole rule that it came to, see `SplitRule.to_json`."""


@dataclass(frozen=True)
class SplitRule:
    """How the images of a job get their splits: by lists, by folders, else by a hash. It looks at
    one image alone, so that none moves when images are added."""

    shares: Mapping[str, float]
    """Split → its part of the whole, above 0; they add up to 1."""
    seed: int
    """Mixes the images anew."""
    by: str | None = None
    """Which images stay together: those of a folder (`FOLDER`), or those in whose keys this regular
    expression finds the same; None: no others than identical ones."""
    is_by_content: bool = False
    """Identical images are in one split; in older jobs their keys decide."""
    lists: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Split → names of images that are in it, whatever the rest of the rule says."""
    tops: Sequence[str] = ()
    """Where folders stand that are named as splits, by what the keys begin with; what is in them is
    in that split. See `split_of_folder`."""

    @classmethod
    def of(cls, spec: JobSpec, journal: Journal) -> Self:
        """The rule of a job under a specification."""
        with journal.reading("how it splits images"):
            return cls.begun_with(journal.value(BEGUN_WITH), spec)

    @classmethod
    def begun_with(cls, begun: Mapping[str, Any] | None, spec: JobSpec) -> Self:
        """The rule of a job that was begun with such a value; see `BEGUN_WITH`."""
        begun = begun or {}
        is_chosen = spec.split or spec.split_by or spec.split_file
        return cls(
            _shares(spec),
            spec.seed,
            spec.split_by,
            begun.get("by") == "content",
            spec.split_file or {},
            () if is_chosen else begun.get("tops", ()),
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values that are equal where the rules are."""
        lists = json.dumps(self.lists, sort_keys=True).encode()
        digest = hashlib.sha256(lists).hexdigest()
        return asdict(self) | {"lists": digest, "tops": list(self.tops)}

    def is_other_than(self, policy: Mapping[str, Any] | None) -> bool:
        """Whether images were split by another rule under the policy of an export, if there was
        one.

        What an older version did not know of a rule is as if it were not there.
        """
        if policy is None:
            return False
        said = policy.get(RULE)
        if said is None:  # then a rule was shares and a seed
            said = {"shares": policy.get("split") or DEFAULT_SHARES, "seed": policy.get("seed", 0)}
        unsaid = SplitRule(DEFAULT_SHARES, 0, is_by_content=self.is_by_content).to_json()
        return any(value != said.get(name, unsaid[name]) for name, value in self.to_json().items())

    def split_names(self, refs: Callable[[], Iterable[ImageRef]]) -> tuple[str, ...]:
        """The splits that it gives to the images of a job, in their order."""
        named = {split_of_folder(ref.key, self.tops) for ref in refs()} if self.tops else {None}
        shares = self.shares if None in named else ()
        return tuple(name for name in SPLITS if name in {*named, *shares, *self.lists})

    def split_of(self, ref: ImageRef, sha: str) -> str:
        """The split of an image with these bytes, by their SHA-256."""
        if self.lists and (listed := self._listed(ref)) is not None:
            return listed
        if (split := split_of_folder(ref.key, self.tops)) is not None:
            return split
        alone = sha if self.is_by_content else ref.key
        return self._share_of(self._group(ref.key) or alone)

    def fit(self, refs: Callable[[], Iterable[ImageRef]]) -> tuple[str, ...]:
        """See `SplitLists.fit`."""
        return self._listed.fit(refs) if self.lists else ()

    def _group(self, key: str) -> str:
        """What the images of a group have in common; empty for an image alone."""
        if self.by is None:
            return ""
        if self.by == FOLDER:
            return key.rpartition("/")[0] + "/"
        match = re.search(self.by, key)
        return (match[1 if match.re.groups else 0] or "") if match else ""

    @cached_property
    def _listed(self) -> SplitLists:
        return SplitLists(self.lists)

    @cached_property
    def _share_of(self) -> Callable[[str], str]:
        return splitter(self.shares, self.seed)


def begin(keys: Iterable[str], prefixes: Iterable[str]) -> dict[str, Any]:
    """By what a new job splits its images, and where folders of splits stand: JSON values."""
    return {"by": "content", "tops": find_tops(keys, prefixes)}


def _shares(spec: JobSpec) -> Mapping[str, float]:
    """The shares of the images that are in no list: among the splits without one, and where no
    shares were chosen, or none are left, all to train."""
    if not spec.split_file:
        return spec.split or DEFAULT_SHARES
    chosen = spec.split or {}
    left = {name: share for name, share in chosen.items() if name not in spec.split_file}
    return {name: share / sum(left.values()) for name, share in left.items()} or {"train": 1.0}


def splitter(shares: Mapping[str, float], seed: int) -> Callable[[str], str]:
    """A function from what tells an image, or a group of them, from others to its split, by a hash
    of it and the seed; see `SplitRule`."""

    def split_of(identity: str) -> str:
        digest = hashlib.sha256(f"{seed}\0{identity}".encode()).digest()
        position = int.from_bytes(digest[:8], "big") / 2**64
        for name, share in shares.items():
            if position < share:
                return name
            position -= share
        return next(iter(shares))  # the shares' sum, rounded, fell short of 1

    return split_of
