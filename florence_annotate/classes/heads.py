"""The class of a phrase is its head's: `a man in a red car` is a man, and a `car door` a door.

English noun phrases have their head at the end of what stands before the first preposition,
relative clause or participle. No parser: the tables of words here, and the class names.
"""

from collections.abc import Callable, Sequence

from florence_annotate.classes.spelling import words

_DETERMINERS = frozenset(
    (
        *("a", "an", "the", "this", "that", "these", "those", "some", "any", "each", "every"),
        *("another", "both", "all", "several", "many", "his", "her", "its", "their", "my", "our"),
        *("your", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    )
)
"""Articles, and what stands in their place."""

_PREPOSITIONS = frozenset(
    (
        *("about", "above", "across", "against", "along", "alongside", "amid", "among", "around"),
        *("as", "at", "atop", "before", "behind", "below", "beneath", "beside", "besides"),
        *("between", "beyond", "by", "during", "for", "from", "in", "inside", "into", "near", "of"),
        *("on", "onto", "opposite", "outside", "past", "through", "throughout", "to", "toward"),
        *("towards", "under", "underneath", "upon", "via", "with", "within", "without"),
    )
)
_OF_ONE_THING = ("pair", "pairs")
"""A pair of scissors, of glasses, of skis is what it is a pair of."""

_CLAUSES = frozenset(
    (
        *("who", "whom", "whose", "which", "that", "where", "when", "while"),
        *("is", "are", "was", "were", "has", "have", "had"),
    )
)
"""Relative words, and verbs that make a phrase a sentence."""

_WITH_BARE_OBJECTS = frozenset(
    (
        *("carrying", "containing", "depicting", "displaying", "doing", "drinking", "eating"),
        *("featuring", "holding", "including", "playing", "pulling", "pushing", "reading"),
        *("riding", "showing", "using", "wearing", "wielding"),
    )
)
"""Participles that take an object without an article (a man wearing sunglasses), and hardly ever
belong to the noun after them: they end the head whatever follows, as prepositions do."""

_PARTICIPLES = frozenset(
    (
        *("attached", "based", "blowing", "broken", "brushing", "buried", "built", "burning"),
        *("carved", "catching", "chasing", "cleaning", "climbing", "closed", "coming", "connected"),
        *("cooked", "cooking", "covered", "curled", "cutting", "dancing", "decorated", "displayed"),
        *("draped", "dressed", "driving", "facing", "falling", "feeding", "filled", "flying"),
        *("folded", "followed", "fishing", "framed", "gathered", "getting", "giving", "going"),
        *("grazing", "grouped", "growing", "hanging", "hidden", "hitting", "hovering", "hung"),
        *("jumping", "kept", "kicking", "kissing", "kneeling", "laid", "laying", "leading"),
        *("leaning", "leaving", "left", "lifting", "lined", "lit", "loaded", "located", "looking"),
        *("lying", "made", "making", "mixed", "mounted", "moving", "named", "overlooking"),
        *("packed", "painted", "parked", "passing", "perched", "performing", "piled", "pictured"),
        *("placed", "planted", "pointing", "posing", "positioned", "pouring", "preparing"),
        *("printed", "propped", "racing", "raised", "reaching", "reflected", "resting", "rolling"),
        *("running", "sailing", "seated", "seen", "separated", "served", "shaped", "shining"),
        *("shown", "sitting", "skating", "skiing", "sleeping", "sliced", "sliding", "smiling"),
        *("smoking", "snowboarding", "stacked", "standing", "staring", "stopped", "stored"),
        *("strapped", "surfing", "surrounded", "surrounding", "suspended", "swimming", "swinging"),
        *("taken", "taking", "talking", "taxiing", "throwing", "tied", "topped", "touching"),
        *("traveling", "travelling", "turned", "turning", "used", "waiting", "walking", "washing"),
        *("watching", "waving", "worn", "wrapped", "written"),
    )
)
_ADVERBS = frozenset(
    (
        *("alone", "away", "close", "down", "full", "here", "high", "indoors", "like", "low"),
        *("nearby", "next", "off", "out", "outdoors", "over", "there", "together", "up", "upright"),
    )
)
"""Participles and adverbs end the head where nothing, an article, a preposition or an adverb
follows: that of a dog running across the street, not that of a running shoe."""

_NOUNS_TOO = frozenset(
    (
        *("building", "covering", "crossing", "drawing", "landing", "opening", "painting"),
        *("parking", "serving"),
    )
)
"""Participles that are nouns as often: they end the head before an article alone."""


def find_head(phrase: str, find: Callable[[str], int | None], longest: int) -> int | None:
    """The class id of a phrase's head; None where that is no class.

    `find` gives the class id of words, joined by spaces; `longest` is how many a class may have.
    """
    said, is_alone = _split(phrase)
    while said:
        if (whole := find(" ".join(said))) is not None:
            return whole
        if said[0] not in _DETERMINERS:
            break
        said, is_alone = said[1:], is_alone[1:]

    def is_in_a_name(index: int) -> bool:
        """Whether a word belongs to a class of several words."""
        return any(
            find(" ".join(said[start:after])) is not None
            for start in range(max(0, index + 1 - longest), index + 1)
            for after in range(max(index + 1, start + 2), min(start + longest, len(said)) + 1)
        )

    ends = (
        index
        for index in range(1, len(said))
        if is_alone[index] and _ends_head(said, index) and not is_in_a_name(index)
    )
    head = said[: next(ends, len(said))]
    runs = (" ".join(head[start:]) for start in range(max(0, len(head) - longest), len(head)))
    return next((class_id for run in runs if (class_id := find(run)) is not None), None)


def _split(phrase: str) -> tuple[list[str], list[bool]]:
    """The words of a phrase, and whether each stands alone: those of `built-in` do not."""
    said: list[str] = []
    is_alone: list[bool] = []
    for part in map(words, phrase.split()):
        said += part
        is_alone += [len(part) == 1] * len(part)
    return said, is_alone


def _ends_head(said: Sequence[str], index: int) -> bool:
    """Whether the head of a phrase ends before a word, which is not its first."""
    word = said[index]
    following = said[index + 1] if index + 1 < len(said) else None
    if word == "of" and said[index - 1] in _OF_ONE_THING:
        return False
    if word in _PREPOSITIONS or word in _CLAUSES or word in _WITH_BARE_OBJECTS:
        return True
    if word in _NOUNS_TOO:
        return following in _DETERMINERS
    return (word in _PARTICIPLES or word in _ADVERBS) and (
        following is None
        or following in _DETERMINERS
        or following in _PREPOSITIONS
        or following in _CLAUSES
        or following in _ADVERBS
    )
