"""What makes no difference in a label's spelling."""

import unicodedata


def normalise(label: str) -> str:
    """Fold case, spelling of characters (NFKC), hyphens, underscores and runs of white space."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return " ".join(folded.replace("_", " ").replace("-", " ").split())


def words(text: str) -> list[str]:
    """The words of a text, normalised, without punctuation."""
    return "".join(c if c.isalnum() or c == "'" else " " for c in normalise(text)).split()
