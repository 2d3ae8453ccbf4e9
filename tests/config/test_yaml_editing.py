"""A YAML file that people edit: only values change, and every reader reads what is written."""

from typing import Any

import pytest
import yaml
from calls import calls_within
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.config.yaml_editing import edited, spelled
from florence_annotate.user_yaml import parse_yaml

# no surrogates, which no text in UTF-8 has; and the words and signs that YAML takes for its own
TEXT = st.one_of(
    st.text(),
    st.text("?:#-&*!|>%@`'\"{}[], \n\ta0.~=<", min_size=1),
    st.sampled_from(["y", "no", "On", "NULL", "1:30", "0x1f", "1e3", ".inf", "2001-01-01", "<<"]),
    st.sampled_from(["star?", ":a", "a: b", "a #b", "- a", "...", "---", "~", "=", "x" * 1100]),
    st.sampled_from(["\x85", "\u2028", "\ufeff", "\ue000", "😀"]),
)
SPECS = st.none() | st.fixed_dictionaries(
    {},
    optional={
        "synonyms": st.lists(TEXT, min_size=1, max_size=3),
        "prompt": TEXT,
        "min_score": st.floats(0, 1),
        "min_area": st.floats(0, 1e300),
    },
).map(lambda spec: spec or None)
CLASSES = st.dictionaries(TEXT, SPECS, min_size=1, max_size=6)
READERS = [parse_yaml, yaml.safe_load, lambda text: yaml.load(text, yaml.CSafeLoader)]


@given(CLASSES, TEXT, st.lists(TEXT))
def test_what_is_written_every_reader_reads(classes: dict[str, Any], text: str, names: Any) -> None:
    wanted = {"classes": classes, "text": text, "ids": dict(enumerate(names)), "list": names}
    written = edited("", wanted, dict.fromkeys(wanted, "\n# about it\n"))
    for read in READERS:
        assert read(written) == wanted
    for value in wanted.values():
        assert yaml.safe_load(spelled(value)) == value


@given(CLASSES, CLASSES, st.randoms(use_true_random=False))
def test_what_changes_is_read_and_the_comments_of_what_stays_are_there(
    before: dict[str, Any], after: dict[str, Any], random: Any
) -> None:
    kept = random.sample(sorted(before), random.randint(0, len(before)))
    after = {**after, **{name: before[name] for name in kept}}
    after = {name: after[name] for name in random.sample(sorted(after), len(after))}
    text = edited("", {"classes": before}, {})
    is_commented = "? " not in text  # a key in two lines
    if is_commented:
        head, *lines = text.splitlines()
        lines = [f"  # above {i}\n{line} # beside {i}" for i, line in enumerate(lines)]
        text = "\n".join([f"{head} # mine", *lines, "# of the next", "seed: 0 # zero", ""])
    changed = edited(text, {"classes": after}, {})
    assert list(parse_yaml(changed)["classes"].items()) == list(after.items())
    if is_commented:
        assert changed.endswith("# of the next\nseed: 0 # zero\n")
        assert changed.startswith("classes: # mine\n")
        for index, name in enumerate(before):
            is_there = name in after
            assert (f"# above {index}\n" in changed) is is_there
            assert (f" # beside {index}\n" in changed) is is_there


@pytest.mark.parametrize(
    ("text", "key", "value", "wanted"),
    [
        ("a: 1 # one\nb: 2\n", "a", 3, "a: 3 # one\nb: 2\n"),
        ("a: # none\nb: 2\n", "a", "x", "a: x # none\nb: 2\n"),
        ("a: 1 # one\n", "a", None, "a:   # one\n"),
        ("a:\n  1 # one\nb: 2\n", "a", 3, "a: 3 # one\nb: 2\n"),
        ("a: |\n  x\n  y\n\n# b\nb: 2\n", "a", "z", "a: z\n\n# b\nb: 2\n"),
        ("a:\n- x\n- y\n# b\nb: 2\n", "a", ["z"], "a: [z]\n# b\nb: 2\n"),
        ("a: [x, # ex\n  y] # why\nb: 2\n", "a", ["z"], "a: [z] # why\nb: 2\n"),
        ("a: 'it''s #' # one\n", "a", "it's", 'a: "it\'s"    # one\n'),
        ("a: !!str 1 # one\n", "a", 3, "a: 3       # one\n"),
        ("a: 1\t# one\n", "a", 3, "a: 3    # one\n"),
        ("a: 1", "b", 2, "a: 1\nb: 2\n"),
        ("", "b", 2, "b: 2\n"),
        ("# mine\n", "b", 2, "# mine\nb: 2\n"),
        ("# mine\n---\na: 1\n...\n", "b", 2, "# mine\n---\na: 1\nb: 2\n"),
        ("--- # mine\n", "b", 2, "---\n # mine\nb: 2\n"),
        ("null\n", "b", 2, "b: 2\n"),
        ("{a: 1, c: [x, 'y?']}\n", "b", 2, "a: 1\nc: [x, 'y?']\nb: 2\n"),
        ("? a\n: 1\n", "a", 2, "a: 2\n"),
        ("a: 1\r\nb: 2\r\n", "c", 3, "a: 1\r\nb: 2\r\nc: 3\r\n"),
        ("a: 1\r\nb: # two\r\n", "b", {"x": None}, "a: 1\r\nb: # two\r\n  x:\r\n"),
        ("a: é # 😀\nb: 😀 # é\n", "b", "x", "a: é # 😀\nb: x # é\n"),
        ("a: [x, y] # mine\n", "a", {"x": None, "z": None}, "a:        # mine\n  x:\n  z:\n"),
        (
            "a: # mine\n  - x # ex\n  # why\n  - u\n# b\nb: 1\n",
            "a",
            {"u": None, "z": None, "x": None},
            "a: # mine\n  # why\n  u:\n  z:\n  x:  # ex\n# b\nb: 1\n",
        ),
        (
            "a: # mine\n    x: # ex\n        k: 1 # one\n    y: {k: 1} # why\nb: 1\n",
            "a",
            {"y": {"k": 2}, "x": None},
            "a: # mine\n    y: {k: 2} # why\n    x: # ex\nb: 1\n",
        ),
        ("a:\n  - x\n  # why\n  - y # z\nb: 1\n", "b", 2, "a:\n  - x\n  # why\n  - y # z\nb: 2\n"),
        ("a:  {k:  'x',\n  l: y}\nb: 1\n", "b", 2, "a:  {k:  'x',\n  l: y}\nb: 2\n"),
        ("a: 'x\ty' # one\nb: 1\n", "b", 2, "a: 'x\ty' # one\nb: 2\n"),
        (
            "a: # mine\n   # why\n   x:   {k:  1}\n   y: 1 # one\n   z:\nb: 1\n",
            "a",
            {"x": {"k": 1}, "u": None, "y": 2, "v": {"k": 2}},
            "a: # mine\n   # why\n   x:   {k:  1}\n   u:\n   y: 2 # one\n   v: {k: 2}\nb: 1\n",
        ),
        ("a:\n  x:\n\n  # of b\nb: 1\n", "a", {"z": None}, "a:\n  z:\n\n  # of b\nb: 1\n"),
    ],
)
def test_all_but_the_value_stays(text: str, key: str, value: Any, wanted: str) -> None:
    changed = edited(text, {key: value}, {})
    assert changed == wanted
    assert parse_yaml(changed)[key] in (value, isinstance(value, dict) and list(value))


def test_a_file_whose_text_ruamel_would_change_is_written_anew() -> None:
    text = "{a: 'x\ty', b: 1} # one\n"
    assert edited(text, {"b": 2}, {"a": "# about\n"}) == '# about\na: "x\\ty"\nb: 2\n'


def test_several_values_change_at_once() -> None:
    changes = {"c": 30, "d": 4, "a": None, "e": "five"}
    above = {key: f"# {key}\n" for key in changes}
    wanted = "a:   # one\nb: 2 # two\nc: 30 # three\n# d\nd: 4\n# e\ne: five\n"
    assert edited("a: 1 # one\nb: 2 # two\nc: 3 # three\n", changes, above) == wanted


def test_what_stays_of_a_long_list_is_not_worked_on() -> None:
    def work(longest: int) -> int:
        """To change one class and to add one."""
        names = [f"class {letter * count}" for letter in "abcde" for count in range(1, longest)]
        before: dict[str, Any] = dict.fromkeys(names)
        text = edited("", {"min_score": 0.0, "classes": before}, {})
        after = {**before, names[3]: {"min_score": 0.5}, "another": None}
        return calls_within(
            "ruamel", lambda: edited(text, {"min_score": 0.5, "classes": after}, {})
        )

    assert 0 < work(40) == work(8)
