"""The class list: names, synonyms, prompts; from a label to a class id.

The order in which the user names the classes is the class id, forever.

A label maps to a class where the two are equal after `normalise`, or where one of them is an
English plural of the other, by the table `_PLURALS`. An exact match wins; a plural that fits two
classes fits none.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from florence_annotate.errors import UsageError

_PLURALS = (
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


def normalise(label: str) -> str:
    """Fold case, spelling of characters (NFKC), hyphens, underscores and runs of white space."""
    folded = unicodedata.normalize("NFKC", label).casefold()
    return " ".join(folded.replace("_", " ").replace("-", " ").split())


def singulars(label: str) -> set[str]:
    """What a normalised label may be the plural of."""
    return {
        label.removesuffix(plural) + single
        for plural, single in _PLURALS
        if label.endswith(plural) and label.removesuffix(plural) + single
    }


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """One class as the user described it."""

    name: str
    synonyms: tuple[str, ...] = ()
    prompt: str | None = None

    @property
    def question(self) -> str:
        """What to ask the model for, where the class is asked by name."""
        return self.prompt or self.name


class ClassList:
    """Classes in the user's order; the index in it is the class id.

    Raises UsageError for no class at all, an empty name, or a name, synonym or prompt that
    belongs to two classes.
    """

    def __init__(self, classes: Iterable[ClassSpec]) -> None:
        self.classes = tuple(classes)
        if not self.classes:
            raise UsageError("the class list is empty: name at least one class, or leave it out")
        self._ids: dict[str, int] = {}
        for class_id, spec in enumerate(self.classes):
            _refuse_bad_name(spec)
            for label in (spec.name, *spec.synonyms, *([spec.prompt] if spec.prompt else [])):
                self._claim(normalise(label), label, class_id)
        self._spoken = {" ".join(_words(label)): id_ for label, id_ in self._ids.items()}
        """Labels without punctuation."""
        self._plural_ids: dict[str, set[int]] = {}
        for label, class_id in self._ids.items():
            for single in singulars(label):
                self._plural_ids.setdefault(single, set()).add(class_id)

    def _claim(self, normal: str, label: str, class_id: int) -> None:
        owner = self._ids.setdefault(normal, class_id)
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
        if normal in self._ids:
            return self._ids[normal]
        candidates = {self._ids[single] for single in singulars(normal) if single in self._ids}
        candidates |= self._plural_ids.get(normal, set())
        return candidates.pop() if len(candidates) == 1 else None

    def named_in(self, text: str) -> set[int]:
        """Ids of the classes that a sentence names, whatever the punctuation."""
        words = _words(text)
        runs = (
            " ".join(words[start : start + length])
            for length in range(1, 1 + max(len(name.split()) for name in self._spoken))
            for start in range(len(words) - length + 1)
        )
        found = (self._spoken.get(run, self.find(run)) for run in runs)
        return {class_id for class_id in found if class_id is not None}


def _words(text: str) -> list[str]:
    return "".join(c if c.isalnum() or c == "'" else " " for c in normalise(text)).split()


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


def parse_names(text: str) -> ClassList:
    """Classes from `person,car`; names that hold a comma go into a file instead."""
    return ClassList(ClassSpec(name.strip()) for name in text.split(","))


def read_file(path: Path) -> ClassList:
    """Classes from a file: one name a line, a `data.yaml`, or YAML with synonyms and prompts.

    Raises UsageError for a file that is not there, not UTF-8, or in none of these forms.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"can't read the class file {path}: {error}") from error
    if path.suffix.lower() not in (".yaml", ".yml"):
        lines = (line.strip() for line in text.splitlines())
        return ClassList(ClassSpec(line) for line in lines if line)
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split())
        raise UsageError(f"the class file {path} is not valid YAML: {problem}") from error
    return from_data(content, str(path))


def from_data(content: Any, where: str) -> ClassList:
    """Classes from what a YAML file holds; `where` names it in errors.

    Understood are a list of names; ultralytics' `names`, as a list or as id → name; and a mapping
    of name → nothing, or name → {synonyms: […], prompt: …}.
    """
    if isinstance(content, Mapping) and "names" in content and not _is_spec(content["names"]):
        content = content["names"]
        if isinstance(content, Mapping):
            ids = list(content)
            if sorted(ids, key=str) != sorted(range(len(ids)), key=str):
                raise UsageError(f"{where}: the ids of `names` must run from 0 without a gap")
            content = [content[class_id] for class_id in range(len(ids))]
    if isinstance(content, list):
        return ClassList(ClassSpec(_as_name(name, where)) for name in content)
    if isinstance(content, Mapping):
        return ClassList(
            _read_spec(_as_name(name, where), spec, where) for name, spec in content.items()
        )
    raise UsageError(
        f"{where}: expected a list of classes, a data.yaml with `names`, "
        "or `name: {synonyms: […], prompt: …}`"
    )


def _is_spec(value: Any) -> bool:
    return value is None or (isinstance(value, Mapping) and bool({"synonyms", "prompt"} & {*value}))


def _as_name(value: Any, where: str) -> str:
    if isinstance(value, str):
        return value
    raise UsageError(f"{where}: the class name {value!r} is no text: put it in quotes")


def _read_spec(name: str, spec: Any, where: str) -> ClassSpec:
    if spec is None:
        return ClassSpec(name)
    if not isinstance(spec, Mapping) or set(spec) - {"synonyms", "prompt"}:
        raise UsageError(f"{where}: class {name!r} may have `synonyms` and `prompt`, nothing else")
    synonyms = spec.get("synonyms") or []
    if not isinstance(synonyms, list):
        raise UsageError(f"{where}: the synonyms of {name!r} must be a list, as in [sedan, suv]")
    prompt = spec.get("prompt")
    return ClassSpec(
        name,
        tuple(_as_name(synonym, where) for synonym in synonyms),
        None if prompt is None else _as_name(prompt, where),
    )
