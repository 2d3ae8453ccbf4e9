"""Expressions over kinds of tokens, held to Python's own."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from florence_annotate.model.generation.grammar import START, compile_form
from florence_annotate.tasks import FORMS, FORMS_OF_PROMPTS

ALL_FORMS = sorted({*FORMS.values(), *FORMS_OF_PROMPTS.values()})


def accepts(form: str, letters: str) -> bool:
    grammar = compile_form(form)
    state = START
    for letter in letters:
        if letter not in grammar.following[state]:
            return False
        state = grammar.following[state][letter]
    return state in grammar.final


@pytest.mark.parametrize("form", ALL_FORMS)
@given(letters=st.text("tlspq", max_size=20))
def test_a_form_accepts_what_the_expression_matches(form: str, letters: str) -> None:
    assert accepts(form, letters) == bool(re.fullmatch(form, letters))


@pytest.mark.parametrize("form", ALL_FORMS)
@given(data=st.data())
def test_a_form_accepts_what_is_made_from_it(form: str, data: st.DataObject) -> None:
    assert accepts(form, data.draw(st.from_regex(form, fullmatch=True)))


@pytest.mark.parametrize("form", ["(ab|ac)", "a*a", "(ab", "a)", "*", "a|*b"])
def test_what_has_two_readings_or_is_no_expression_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match=re.escape(repr(form))):
        compile_form(form)
