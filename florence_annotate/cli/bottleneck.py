"""Whether a run waited for images more than for its model, and what would help."""

from collections.abc import Mapping
from typing import Any

from florence_annotate import cores

LEAST_SECONDS = 5.0
"""Less is how long a start takes, with its first images."""
LEAST_SHARE = 0.2


def remark(run: Mapping[str, Any], settings: Mapping[str, Any]) -> str | None:
    """A line about a run's report and its settings, both as `summary.json` has them; None where
    the model was hardly kept waiting."""
    seconds = run.get("seconds", 0.0)
    waited = run.get("seconds_waiting_for_pictures", 0.0)
    if waited <= max(LEAST_SECONDS, LEAST_SHARE * seconds):
        return None
    helps = [_readers(settings)]
    if settings["pixels"] == "exact":
        helps.append("--pixels fast in a new job (docs/performance.md)")
    return (
        f"{waited:.0f} of {seconds:.0f} seconds went into waiting for images: reading them, not "
        f"the model, was the bottleneck. What helps: {', or '.join(helps)}"
    )


def _readers(settings: Mapping[str, Any]) -> str:
    from florence_annotate.images.loading import workers_of

    given = settings["workers"]
    if settings["engine"] == "ray":  # its machines may be others than this one
        more = "more cores for each actor"
        return more if given is None else f"{more}, and --workers above {given}"
    here = cores.available()
    usual = workers_of(here)
    if given is not None and given < usual:
        return f"--workers {usual} instead of {given}"
    have = "1 process read" if (given or usual) == 1 else f"{given or usual} processes read"
    beside = "1 core" if here == 1 else f"{here} cores"
    return f"more cores ({have} on {beside}) or, where the disk is slow, more --workers than that"
