"""The class list: names, synonyms, prompts; from a label to a class id.

The order in which the user names the classes is the class id, forever.

A label maps to a class where the two are equal after `normalise`, or one is a plural of the other.
Where no class claims it, it may be another word for a class of COCO's (`synonyms`). An exact match
wins over plurals, a class over such a word; a plural that fits two classes fits none.
"""

import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from florence_annotate.classes.heads import find_head
from florence_annotate.classes.plurals import plurals, singulars_of_older_jobs
from florence_annotate.classes.spelling import normalise, words
from florence_annotate.classes.synonyms import SYNONYMS
from florence_annotate.errors import UsageError


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """One class as the user described it."""

    name: str
    synonyms: tuple[str, ...] = ()
    prompt: str | None = None
    min_score: float | None = None
    """Of this class; None: that of all. The same of the other two."""
    min_area: float | None = None
    max_area: float | None = None

    @property
    def question(self) -> str:
        """What to ask the model for, where the class is asked by name."""
        return self.prompt or self.name


@dataclass(frozen=True, slots=True)
class Matching:
    """By which rules labels become classes."""

    is_older: bool = False
    """As jobs have it that were begun before phrases had heads: a phrase maps as a whole, and an
    ending of plurals counts on any word."""
    has_synonyms: bool = True
    """Other words for COCO's classes stand for those that are spelled as COCO does."""


class ClassList:
    """Classes in the user's order; the index in it is the class id.

    Raises UsageError for no class at all, an empty name, or a name, synonym or prompt that
    belongs to two classes.
    """

    def __init__(self, classes: Iterable[ClassSpec], matching: Matching = Matching()) -> None:
        self.classes = tuple(classes)
        self.matching = matching
        if not self.classes:
            raise UsageError("the class list is empty: name at least one class, or leave it out")
        claimed: dict[str, int] = {}
        for class_id, spec in enumerate(self.classes):
            _refuse_bad_name(spec)
            for label in (spec.name, *spec.synonyms, *([spec.prompt] if spec.prompt else [])):
                self._claim(claimed, label, class_id)
        by_name = {normalise(name): class_id for class_id, name in enumerate(self.names)}
        others = {
            synonym: by_name[name]
            for synonym, name in SYNONYMS.items()
            if matching.has_synonyms and name in by_name and synonym not in claimed
        }
        forms = singulars_of_older_jobs if matching.is_older else plurals
        self._labels = [_Labels(claimed, forms), _Labels(others, forms)]
        self._spoken = {" ".join(words(label)): id_ for label, id_ in (others | claimed).items()}
        """Labels without punctuation."""
        self._longest = max(len(label.split()) for label in self._spoken)

    def _claim(self, claimed: dict[str, int], label: str, class_id: int) -> None:
        owner = claimed.setdefault(normalise(label), class_id)
        if owner == class_id:
            return
        first, second = self.classes[owner].name, self.classes[class_id].name
        if normalise(first) == normalise(second):
            raise UsageError(f"class {second!r} is in the class list twice: name it once")
        raise UsageError(f"{label!r} stands for both {first!r} and {second!r}: remove it from one")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(spec.name for spec in self.classes)

    def find(self, label: str) -> int | None:
        """Id of the class that a label stands for; None where it stands for none."""
        normal = normalise(label)
        for labels in self._labels:
            if normal in labels.ids:
                return labels.ids[normal]
        for labels in self._labels:
            if found := labels.in_another_number(normal):
                return found.pop() if len(found) == 1 else None
        return None

    def find_phrase(self, phrase: str) -> int | None:
        """Id of the class that the head of a phrase stands for; None where it stands for none."""
        whole = self.find(phrase)
        if whole is not None or self.matching.is_older:
            return whole
        return find_head(phrase, self._find_spoken, self._longest)

    def _find_spoken(self, run: str) -> int | None:
        """Id of the class that words without punctuation stand for."""
        return self._spoken.get(run, self.find(run))

    def named_in(self, text: str) -> set[int]:
        """Ids of the classes that a sentence names, whatever the punctuation."""
        said = words(text)
        runs = (
            " ".join(said[start : start + length])
            for length in range(1, 1 + self._longest)
            for start in range(len(said) - length + 1)
        )
        found = map(self._find_spoken, runs)
        return {class_id for class_id in found if class_id is not None}


class _Labels:
    """Normalised labels with their class ids, in singular and plural."""

    def __init__(self, ids: Mapping[str, int], forms: Callable[[str], Collection[str]]) -> None:
        """`forms` gives the plurals of a label, or what it may be the plural of."""
        self.ids = ids
        self._forms = forms
        self._ids_of_forms: dict[str, set[int]] = {}
        for label, class_id in ids.items():
            for form in forms(label):
                self._ids_of_forms.setdefault(form, set()).add(class_id)

    def in_another_number(self, label: str) -> set[int]:
        """Ids of those that a normalised label is the plural or the singular of."""
        found = {self.ids[form] for form in self._forms(label) if form in self.ids}
        return found | self._ids_of_forms.get(label, set())


_LINE_BREAKING = ("Cc", "Cs", "Zl", "Zp")


def _refuse_bad_name(spec: ClassSpec) -> None:
    for text in (spec.name, *spec.synonyms, *([] if spec.prompt is None else [spec.prompt])):
        if not text.strip():
            raise UsageError("the class list holds an empty name: remove it")
        if any(unicodedata.category(character) in _LINE_BREAKING for character in text):
            raise UsageError(
                f"class {text!r} holds a control character (a newline, a tab, …): "
                "data.yaml and the readers of labels need a name on one line"
            )
