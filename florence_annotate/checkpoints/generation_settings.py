"""How a checkpoint itself would have its answers written, and which of its files says so.

Fine-tunes are saved with what their training script left in the files, so each setting is taken
from the first place that can be trusted with it:

- token ids: `text_config` of `config.json`, then the tokenizer, then BART's. Never the top level of
  `config.json`, nor `generation_config.json`: many fine-tunes say bos 2, eos 1, pad 0 there, with
  which no answer ends.
- everything else: `generation_config.json` where it names the setting, then `text_config`, then
  what Florence-2 was published with.

What else those files hold (`max_length` 20, `top_k` 50, …) are defaults that saving wrote out; they
are no settings of Florence-2 and are not read.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from florence_annotate.checkpoints.files import load_json
from florence_annotate.errors import CheckpointError
from florence_annotate.types import MOST_BEAMS

FILE = "generation_config.json"
_TEXT_CONFIG = "text_config"
_TOKENIZER = "tokenizer.json"
_KNOWN = "as published"

Origins = Mapping[str, str]
"""Setting → the file, or part of a file, that it is taken from."""


@dataclass(frozen=True, slots=True)
class Decoding:
    """What no user chooses: the tokens that are ids, and when a search may stop."""

    start: int
    """The decoder's first token; the model does not choose it."""
    end: int
    """The token that ends an answer."""
    pad: int
    forced_first: int | None
    """The token that must follow the start token; None where there is none."""
    forced_last: int | None
    """The token that must stand at the length limit; None where there is none."""
    early_stopping: bool
    """A search ends once it has as many ended sequences as beams, though others could be better."""


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """A checkpoint's own settings of text generation."""

    decoding: Decoding
    num_beams: int
    no_repeat_ngram: int
    origins: Origins = field(default_factory=dict)
    contradictions: tuple[str, ...] = ()
    """What other files say of the token ids, in words for the user."""
    is_doubtful: bool = False
    """Whether the tokenizer itself contradicts an id: then one of the two is wrong."""
    before: Decoding | None = None
    """What earlier versions made of the same files, where that was something else. Journals that do
    not record how answers were decoded have answers under these settings."""

    def going_on_with(self, recorded: Mapping[str, Any]) -> Self:
        """The settings of a job that recorded its decoding, by `Decoding`'s names."""
        return replace(self, decoding=Decoding(**recorded))

    def answered_otherwise_before(self, num_beams: int) -> bool:
        """Whether earlier versions could have got other answers, with so many beams."""
        if self.before is None:
            return False
        # padding is masked, and a greedy search has nothing to stop early
        irrelevant: dict[str, Any] = {"pad": 0}
        if num_beams == 1:
            irrelevant["early_stopping"] = False
        return replace(self.before, **irrelevant) != replace(self.decoding, **irrelevant)

    def described(self) -> dict[str, Any]:
        """Setting → value, in the order in which they are shown."""
        return {
            **asdict(self.decoding),
            "num_beams": self.num_beams,
            "no_repeat_ngram": self.no_repeat_ngram,
        }

    def __str__(self) -> str:
        """All settings, each with where it comes from."""
        by_origin: dict[str, list[str]] = {}
        for name, value in self.described().items():
            by_origin.setdefault(self.origins[name], []).append(f"{name} {value}")
        return "; ".join(f"{', '.join(said)} ({origin})" for origin, said in by_origin.items())


_TOKENS = {
    # setting: (its name in transformers' files, its token, its id in BART)
    "start": ("decoder_start_token_id", "</s>", 2),
    "bos": ("bos_token_id", "<s>", 0),
    "end": ("eos_token_id", "</s>", 2),
    "pad": ("pad_token_id", "<pad>", 1),
}
_CHOICES: dict[str, tuple[str, type]] = {
    "forced_first": ("forced_bos_token_id", int),
    "forced_last": ("forced_eos_token_id", int),
    "early_stopping": ("early_stopping", bool),
    "num_beams": ("num_beams", int),
    "no_repeat_ngram": ("no_repeat_ngram_size", int),
}


def read_generation_settings(
    folder: Path, config: Mapping[str, Any], tokenizer: Mapping[str, int], size: int, name: str
) -> GenerationSettings:
    """The settings of a checkpoint in a folder, with this `config.json`.

    `tokenizer` has the ids of the tokens that the tokenizer knows, `size` is how many tokens the
    weights have rows for. Raises CheckpointError for a file that can't be read, and for a value
    that is none.
    """
    text = _with_plain_ids(config["text_config"])
    file = _with_plain_ids(load_json(folder / FILE, name) if (folder / FILE).exists() else {})
    config = _with_plain_ids(config)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    contradictions: list[str] = []
    is_doubtful = False
    for setting, (key, token, known) in _TOKENS.items():
        values[setting], origins[setting] = _first(
            {_TEXT_CONFIG: text.get(key), _TOKENIZER: tokenizer.get(token), _KNOWN: known}
        )
        _refuse_other_type(values[setting], int, key, origins[setting], name)
        others = {
            "config.json": config.get(key),
            FILE: file.get(key),
            _TOKENIZER: tokenizer.get(token),
        }
        is_doubtful |= others[_TOKENIZER] not in (None, values[setting])
        contradictions += [
            f"{key} is {values[setting]} ({origins[setting]}); {other} says {value}"
            for other, value in others.items()
            if value not in (None, values[setting])
        ]
    published = {
        "forced_first": values["bos"],
        "forced_last": values["end"],
        # Microsoft's own sample call has it so
        "early_stopping": False,
        "num_beams": 3,
        "no_repeat_ngram": 3,
    }
    for setting, (key, kind) in _CHOICES.items():
        values[setting], origins[setting] = _first(
            {FILE: file.get(key), _TEXT_CONFIG: text.get(key), _KNOWN: published[setting]}
        )
        _refuse_other_type(values[setting], kind, key, origins[setting], name)
    if not 1 <= values["num_beams"] <= MOST_BEAMS:
        raise CheckpointError(
            f"{name}: num_beams in its {origins['num_beams']} is {values['num_beams']}, not a "
            f"number from 1 to {MOST_BEAMS}"
        )
    for setting in (*_TOKENS, "forced_first", "forced_last"):
        if values[setting] >= size:
            key = (_TOKENS.get(setting) or _CHOICES[setting])[0]
            raise CheckpointError(
                f"{name}: {key} in its {origins[setting]} is {values[setting]}, and its vocabulary "
                f"has {size} tokens: take the file from the checkpoint that this one was made from"
            )
    decoding = Decoding(**{each: values[each] for each in Decoding.__dataclass_fields__})
    before = _as_read_before(file or text, text)
    return GenerationSettings(
        decoding,
        values["num_beams"],
        values["no_repeat_ngram"],
        {setting: origin for setting, origin in origins.items() if setting != "bos"},
        tuple(contradictions),
        is_doubtful,
        before if before != decoding else None,
    )


def _with_plain_ids(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a file, in which a list of one token id is that id."""
    return {
        key: value[0]
        if key.endswith("_token_id") and isinstance(value, list) and len(value) == 1
        else value
        for key, value in settings.items()
    }


def _first(places: Mapping[str, Any]) -> tuple[Any, str]:
    """The first value that is there, and its place."""
    return next((value, place) for place, value in places.items() if value is not None)


def _refuse_other_type(value: Any, kind: type, key: str, origin: str, name: str) -> None:
    is_id_or_count = kind is int and isinstance(value, int) and value >= 0
    if isinstance(value, bool) if kind is bool else is_id_or_count and not isinstance(value, bool):
        return
    if key == "early_stopping" and value == "never":
        # there a search goes on until nothing can get better up to the longest answer
        raise CheckpointError(
            f'{name}: early_stopping in its {origin} is "never", which transformers knows and '
            "which is not supported here: set it to false, with which a search ends a little sooner"
        )
    wanted = "true or false" if kind is bool else "a number, 0 or more"
    raise CheckpointError(
        f"{name}: {key} in its {origin} is {value!r}, not {wanted}: take the file from the "
        "checkpoint that this one was made from"
    )


def _as_read_before(named: Mapping[str, Any], text: Mapping[str, Any]) -> Decoding:
    """What versions made of it that did not record it: one file counted alone, also for token ids,
    and no search stopped early.

    `named` is that file: `generation_config.json`, or `text_config` where there was none.
    """

    def token(key: str, known: int) -> int:
        return next(each for each in (named.get(key), text.get(key), known) if each is not None)

    return Decoding(
        start=token("decoder_start_token_id", 2),
        end=token("eos_token_id", 2),
        pad=token("pad_token_id", 1),
        forced_first=named.get("forced_bos_token_id"),
        forced_last=named.get("forced_eos_token_id"),
        early_stopping=False,
    )
