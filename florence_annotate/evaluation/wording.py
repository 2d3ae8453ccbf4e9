"""Names from files of others in sentences: on one line, and not all of thousands."""

from collections.abc import Iterable

_SHOWN = 5


def plain(name: str) -> str:
    """A name in printable characters: what a terminal would obey is spelled out."""
    return name if name.isprintable() else ascii(name)


def listed(names: Iterable[str]) -> str:
    """The first of some names, and how many there are more; empty where there is none."""
    known = list(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return ", ".join(map(plain, known[:_SHOWN])) + more
