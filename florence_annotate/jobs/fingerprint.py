"""What binds a job: how its questions are asked, and what is asked.

A run that would change one of them is refused, since its images would not be annotated like those
before. Of settings that can only be one that somebody gave: what nobody gives stays as the journal
has it. Content always counts, given or not: weights, tokenizer and configurations, the adapter, and
files of texts or regions, each by its hash.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from florence_annotate.config import job_spec
from florence_annotate.config.job_spec import OPTIONS, JobSpec
from florence_annotate.config.older_jobs import BEFORE_IT_EXISTED
from florence_annotate.declaration import Binds
from florence_annotate.errors import FingerprintError
from florence_annotate.journal import Journal, older
from florence_annotate.labels.yolo import label_files
from florence_annotate.questions.texts import SIDECAR
from florence_annotate.tasks import Kind

BOUND = tuple(name for name, option in OPTIONS.items() if option.binds is not Binds.NOT)
"""The settings that bind a job."""
BY_KIND = tuple(name for name in BOUND if OPTIONS[name].binds is Binds.BY_KIND)


_APART = ("decoding", "score")
"""What stands in the journal under a name of its own, since older journals lack it."""


DECODED_OTHERWISE = "decoded_otherwise"
"""The value of a journal that names the last run whose answers may differ from today's."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A bound setting: what somebody gave, if anybody did, and what it came to."""

    given: Any
    resolved: Any
    """Of a setting in BY_KIND: kind of task → value."""

    @property
    def is_one_value(self) -> bool:
        """Whether it is the same for all kinds of tasks."""
        values = list(self.resolved.values()) if isinstance(self.resolved, Mapping) else [None]
        return all(value == values[0] for value in values)

    @property
    def plain(self) -> Any:
        """The one value, where there is one; else kind → value."""
        if isinstance(self.resolved, Mapping) and self.is_one_value:
            return next(iter(self.resolved.values()))
        return self.resolved


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How the questions of a job are asked."""

    settings: Mapping[str, Setting]
    """All of BOUND."""
    weights: str
    """SHA-256 over the checkpoint's weights, tokenizer and configurations."""
    adapter: str | None
    """SHA-256 over the adapter's files."""
    image_size: int
    """Side of the model's square input, in pixels."""
    labels: tuple[str, ...]
    """What `<OD>` may say, where it is held to the classes."""
    decoding: Mapping[str, Any] | None = None
    """See `florence_annotate.checkpoints.generation_settings.Decoding`; None where no run recorded
    it yet. It follows from the checkpoint's content, and is a value of its own in the journal."""
    score: str | None = None
    """The definition of the score, see `florence_annotate.answers.scores`; None in jobs that were
    begun before it was one of probabilities. A value of its own, too."""

    @classmethod
    def of(cls, journal: Journal) -> Self | None:
        """That of a job; None before its first run."""
        value = journal.value("fingerprint")
        if value is None:
            return None
        with journal.reading("what binds it"):
            return cls._of(value, journal)

    @classmethod
    def _of(cls, value: Any, journal: Journal) -> Self:
        if "settings" not in value:
            value = _from_flat(value, journal)
        pairs = value.pop("settings")
        settings = {
            name: Setting(**pairs[name])
            if name in pairs
            else Setting(None, _of_kinds(name, _before(name)))
            for name in BOUND
        }
        content = {**value, "labels": tuple(value["labels"])}
        apart = {name: journal.value(name) for name in _APART}
        return cls(settings=settings, **apart, **content)

    def dump(self) -> dict[str, Any]:
        """JSON values, from which `of` makes it again."""
        content = {name: value for name, value in asdict(self).items() if name not in _APART}
        return {**content, "labels": list(self.labels)}

    def described(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """All that binds a job, flat, as `summary.json` shows it."""
        settings = {name: setting.plain for name, setting in self.settings.items()}
        content = {name: value for name, value in self.dump().items() if name != "settings"}
        return {**settings, **content, **asked}


def _from_flat(flat: Mapping[str, Any], journal: Journal) -> dict[str, Any]:
    """The fingerprint of a job that was begun when it had neither given values nor kinds."""
    text = journal.runs.last_settings()
    spec = JobSpec() if text is None else job_spec.load(text)
    known = {**BEFORE_IT_EXISTED, **flat}
    return {
        "settings": {
            name: {
                "given": getattr(spec, name) if name in spec.given else None,
                "resolved": _of_kinds(name, known[name] if name in known else _before(name)),
            }
            for name in BOUND
        },
        **{name: known[name] for name in ("weights", "adapter", "image_size", "labels")},
    }


def _before(name: str) -> Any:
    """What a job has that was begun before a setting existed."""
    return BEFORE_IT_EXISTED.get(name, JobSpec.model_fields[name].default)


def _of_kinds(name: str, value: Any) -> Any:
    """One value as a setting has it when it is resolved."""
    return dict.fromkeys(Kind, value) if name in BY_KIND else value


@dataclass(frozen=True, slots=True)
class Begun:
    """What a journal knows of its job, when another run of it begins."""

    fingerprint: Fingerprint
    asked: Mapping[str, Any]
    """See `florence_annotate.journal.older.asked`."""
    last: JobSpec | None
    """The settings of the last run; None where it was killed before it had noted them."""

    @classmethod
    def of(cls, journal: Journal) -> Self | None:
        """None before the first run."""
        fingerprint, asked = Fingerprint.of(journal), older.asked(journal)
        if fingerprint is None or asked is None:
            return None
        text = journal.runs.last_settings()
        last = None if text is None else job_spec.load(text)
        return cls(fingerprint, asked, last)

    def described(self) -> dict[str, Any]:
        """All that binds the job, flat."""
        return self.fingerprint.described(self.asked)


def count_decoded_otherwise(journal: Journal) -> int:
    """How many images of a job may have other answers than this version would get."""
    last_run = journal.value(DECODED_OTHERWISE)
    return 0 if last_run is None else journal.count_annotated_until(last_run)


def describe(journal: Journal) -> dict[str, Any] | None:
    """All that binds a job, flat; None before its first run."""
    begun = Begun.of(journal)
    return None if begun is None else begun.described()


def refuse_other(bound: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """Raise FingerprintError where something that binds the job is another one now.

    Both as `described` gives them.
    """
    if (name := _differing(bound, now)) is not None:
        raise FingerprintError(
            f"{where} was begun with {_SAID.get(name, name)} = {_short(bound.get(name))}, and "
            f"now it is {_short(now.get(name))}: its images would not be annotated alike. "
            "Go on as it was begun, choose another output with -o, or begin again with "
            "--restart"
        )


def refuse_unlike(one: Begun, here: Path, other: Begun, there: Path) -> None:
    """Raise FingerprintError where the images of two jobs were not annotated alike, or their scores
    mean different things."""
    ours, theirs = (
        each.described() | {name: getattr(each.fingerprint, name) for name in _APART}
        for each in (one, other)
    )
    if (name := _differing(ours, theirs)) is not None:
        raise FingerprintError(
            f"{here} was begun with {_SAID.get(name, name)} = {_short(ours.get(name))}, and "
            f"{there} with {_short(theirs.get(name))}: their images were not annotated alike, and "
            "can't be merged. Annotate those of one as the other has it, or merge them apart"
        )


def _differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    return next((n for n in sorted(one.keys() | other.keys()) if one.get(n) != other.get(n)), None)


_SAID = {
    "score": "the definition of the score",
    "decoding": "what the checkpoint's own files say of decoding",
    "inputs": "the content of --texts or --regions",
    "weights": "a checkpoint whose files (weights, tokenizer, configurations) have the hash",
    "adapter": "an adapter whose files have the hash",
}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:150]}… ({len(text)} characters)"


def digest(source: str | None) -> str | None:
    """SHA-256 of a file of texts or regions, or a folder of YOLO labels, so that a job is bound to
    it; None for sidecars and nothing."""
    if source is None or source == SIDECAR:
        return None
    path = Path(source)
    files = [path]
    if path.is_dir():
        files = [path / "data.yaml", *label_files(path)]
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(path)}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()
