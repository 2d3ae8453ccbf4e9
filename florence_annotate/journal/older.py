"""Where journals of older versions hold what has a place of its own by now."""

from typing import Any

from florence_annotate.journal.journal import Journal

_WITHIN = ("questions", "tiles", "inputs")
"""What stood within the fingerprint."""


def asked(journal: Journal) -> dict[str, Any] | None:
    """What a job asks about each image; None before its first run.

    `questions` are pairs of a task's token and a text or None, `tiles` how images are cut, `inputs`
    the hash of a file of texts or regions.
    """
    value = journal.value("asked")
    is_apart = value is not None
    if not is_apart:
        value = journal.value("fingerprint")
    if value is None:
        return None
    with journal.reading("what it asks"):
        for task, text in value["questions"]:
            if not isinstance(task, str) or not isinstance(text, str | None):
                raise TypeError(f"{task!r} {text!r} is no question")
        return value if is_apart else {name: value.get(name) for name in _WITHIN}
