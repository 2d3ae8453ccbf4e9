"""English plurals of class names, by tables: an ending counts only on words that have it.

A text that only looks like a plural is none: `bus` of `bu`, `crosss` of `cross`, `lens` of `len`.
"""

import re

_IRREGULAR = {
    "child": ("children",),
    "cactus": ("cacti", "cactuses"),
    "die": ("dice", "dies"),
    "foot": ("feet",),
    "fungus": ("fungi",),
    "goose": ("geese",),
    "louse": ("lice",),
    "mouse": ("mice",),
    "ox": ("oxen",),
    "person": ("people", "persons"),
    "quiz": ("quizzes",),
    "tooth": ("teeth",),
}
_ENDS_OF_WORDS = ("child", "person")
"""Of these, also the ends of longer words: grandchild, salesperson."""

_SHORT = frozenset(("ad", "ax", "cd", "id", "pc", "tv"))
"""Words of two letters that have a plural; others with an s are other words (gas, yes)."""

_NOT_MEN = ("caiman", "german", "human", "norman", "ottoman", "roman", "shaman", "talisman")
"""Words in -man whose plural is regular; all others have -men."""

_VES = (
    *("calf", "elf", "half", "hoof", "knife", "leaf", "life", "loaf", "scarf", "self", "sheaf"),
    *("shelf", "thief", "wharf", "wife", "wolf"),
)
"""Words, and ends of words (bookshelf), whose plural has -ves."""

_HARD_CH = ("epoch", "loch", "monarch", "stomach")
"""Words in -ch whose plural has no e."""

_OES = frozenset(
    (
        *("buffalo", "cargo", "domino", "echo", "flamingo", "hero", "mango", "mosquito"),
        *("potato", "tomato", "tornado", "torpedo", "volcano"),
    )
)
"""Words in -o whose plural may have -es."""

_WITH_I_OR_U = frozenset(
    (
        *("alibi", "bikini", "chili", "kiwi", "panini", "rabbi", "safari", "salami", "samurai"),
        *("sari", "ski", "taxi", "tsunami", "yeti", "zucchini"),
        *("bayou", "bureau", "caribou", "chateau", "emu", "gateau", "gnu", "guru", "haiku"),
        *("menu", "plateau", "tutu"),
    )
)
"""Words in -i and -u whose plural has -s; other words in -is and -us are singular."""

_SINGULAR_IN_S = frozenset(
    (
        *("alias", "atlas", "bias", "canvas", "christmas", "gas", "lens", "molasses", "news"),
        *("pancreas", "series", "species"),
    )
)
"""Words in -s that are the plural of nothing."""

_LAST_WORD = re.compile(r"[a-z]+$")


def plurals(name: str) -> frozenset[str]:
    """All plurals of a normalised name: of its last word, or of the one before `of`.

    None where that word does not end in plain letters.
    """
    noun, of, rest = name.partition(" of ")
    found = _LAST_WORD.search(noun)
    if found is None:
        return frozenset()
    before = noun[: found.start()]
    return frozenset(f"{before}{plural}{of}{rest}" for plural in _of_word(found[0]))


def _of_word(word: str) -> tuple[str, ...]:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    for ending in _ENDS_OF_WORDS:
        if word.endswith(ending):
            return tuple(word.removesuffix(ending) + plural for plural in _IRREGULAR[ending])
    if word.endswith("man") and not word.endswith(_NOT_MEN):
        return (f"{word.removesuffix('man')}men",)
    regular = _regular(word)
    if word.endswith(_VES):
        ves = f"{word.removesuffix('e').removesuffix('f')}ves"
        return (ves, regular) if word.endswith("f") else (ves,)
    also = (f"{word}es",) if word in _OES else ()
    return (*([regular] if regular else []), *also)


def _regular(word: str) -> str:
    """With -s, -es or -ies; empty for a word that takes none of them."""
    if (len(word) < 3 and word not in _SHORT) or f"{word}s" in _SINGULAR_IN_S:
        return ""
    if word.endswith(("s", "x", "z", "ch", "sh")) and not word.endswith(_HARD_CH):
        return f"{word}es"
    if word.endswith(("i", "u")) and word not in _WITH_I_OR_U:
        return ""
    if word.endswith("y") and word[-2] not in "aeiou":
        return f"{word[:-1]}ies"
    return f"{word}s"


_OLDER = (
    # ending of a plural, ending of its singular
    ("s", ""),
    ("ses", "s"),
    ("xes", "x"),
    ("zes", "z"),
    ("ches", "ch"),
    ("shes", "sh"),
    ("oes", "o"),
    ("ies", "y"),
    ("ves", "f"),
    ("ves", "fe"),
    ("men", "man"),
    ("people", "person"),
    ("children", "child"),
    ("teeth", "tooth"),
    ("feet", "foot"),
    ("mice", "mouse"),
    ("geese", "goose"),
)


def singulars_of_older_jobs(label: str) -> frozenset[str]:
    """What a normalised label is a plural of in jobs under `--label-rules 1`: endings count on any
    word."""
    return frozenset(
        label.removesuffix(plural) + single
        for plural, single in _OLDER
        if label.endswith(plural) and label.removesuffix(plural) + single
    )
