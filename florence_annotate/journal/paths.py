"""What a journal says of paths is not believed unseen: it may come from somebody else."""

from pathlib import Path

from florence_annotate.errors import JobError


def refuse_outside(path: str, journal: Path) -> None:
    """Raise JobError for a path that is to lie in a folder and would lead out of it."""
    parts = path.replace("\\", "/").split("/")
    if not {"", ".", ".."} & set(parts) and ":" not in parts[0] and "\0" not in path:
        return
    raise JobError(
        f"{journal} speaks of a file outside of its dataset ({path!r}), which no export wrote: it "
        "is damaged, or made to do harm; don't use it"
    )
