"""YAML that people give holds plain values."""

import pytest

from florence_annotate.user_files import DEEPEST, UnreadableFileError
from florence_annotate.user_yaml import parse_yaml


def test_values_are_read() -> None:
    assert parse_yaml("a: [1, two]\nb: {c: null}") == {"a": [1, "two"], "b": {"c": None}}


def test_an_alias_is_refused_before_it_is_followed() -> None:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 30)]
    with pytest.raises(UnreadableFileError, match=r"an alias is not read here: .* line 2, column"):
        parse_yaml("\n".join(lines))


@pytest.mark.parametrize("depth", [DEEPEST + 1, 5_000])
def test_what_is_nested_too_deep_is_refused(depth: int) -> None:
    with pytest.raises(UnreadableFileError, match=f"more than {DEEPEST} lists or mappings"):
        parse_yaml("[" * depth + "]" * depth)


@pytest.mark.parametrize(
    "text", ["{", "a: 2001-99-99", "!!bool maybe", "!!timestamp soon", "!!python/name:os.system x"]
)
def test_what_is_no_yaml_is_refused(text: str) -> None:
    with pytest.raises(UnreadableFileError, match="it is not valid YAML"):
        parse_yaml(text)
