"""Patterns that choose images by their keys or names, as --include and --exclude give them."""

from collections.abc import Collection, Iterable
from fnmatch import fnmatchcase


def is_wanted(key: str, include: Collection[str], exclude: Collection[str]) -> bool:
    """Whether the patterns take an image; without any to include, all but the excluded ones."""
    if include and not matches(key, include):
        return False
    return not (exclude and matches(key, exclude))


def matches(key: str, patterns: Iterable[str]) -> bool:
    """Whether a key, or the name at its end, matches any pattern; a `*` matches a `/` too."""
    name = key.rsplit("/", 1)[-1]
    return any(fnmatchcase(key, pattern) or fnmatchcase(name, pattern) for pattern in patterns)
