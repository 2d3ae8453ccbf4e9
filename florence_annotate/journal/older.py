"""Where journals of older versions hold what has a place of its own by now."""

from typing import Any

from florence_annotate.journal.journal import Journal


def asked(journal: Journal) -> dict[str, Any] | None:
    """What a job asks about each image; None before its first run.

    `questions` are pairs of a task's token and a text or None, `tiles` how images are cut, `inputs`
    the hash of a file of texts or regions.
    """
    value: dict[str, Any] | None = journal.value("asked")
    if value is not None:
        return value
    fingerprint = journal.value("fingerprint")
    if fingerprint is None:
        return None
    return {name: fingerprint.get(name) for name in ("questions", "tiles", "inputs")}
