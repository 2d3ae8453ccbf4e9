"""Phrases that name no object, though a grounding question gives them boxes."""

from florence_annotate.classes.spelling import normalise

_REFERENCE = frozenset(
    (
        *("i", "me", "mine", "myself", "you", "your", "yours", "yourself", "yourselves"),
        *("he", "him", "his", "himself", "she", "her", "hers", "herself", "it", "its", "itself"),
        *("we", "us", "our", "ours", "ourselves"),
        *("they", "them", "their", "theirs", "themselves", "one", "oneself"),
        *("this", "that", "these", "those", "who", "whom", "whose", "which", "what"),
        *("all", "another", "any", "anybody", "anyone", "anything", "each", "each other"),
        *("everybody", "everyone", "everything", "few", "lots", "many", "nobody", "none"),
        *("one another", "several", "some", "somebody", "someone", "something"),
        *("the", "a", "an", "a group", "a set", "other objects", "the image", "image", "images"),
    )
)
"""What the original checkpoints' processor leaves out of its answers to phrase grounding
(`_create_black_list_of_phrase_grounding` of processing_florence2.py), case folded."""

_IMAGE = ("image", "photo", "photograph", "picture")
_OURS = frozenset(
    f"{article}{word}" for article in ("", "a ", "an ", "the ", "this ") for word in _IMAGE
)
"""Words for the image itself that the reference lacks."""

_EMPTY = _REFERENCE | _OURS


def names_nothing(phrase: str) -> bool:
    """Whether a phrase names no object, in whatever case it is written."""
    return normalise(phrase.rstrip(".,;: ")) in _EMPTY
