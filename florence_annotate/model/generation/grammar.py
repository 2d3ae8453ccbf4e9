"""Regular expressions over kinds of tokens, compiled to automata: which kind may follow which.

A letter is a kind of token; `*`, `+`, `?`, `|` and brackets mean what they always do. The automaton
is Glushkov's (https://en.wikipedia.org/wiki/Glushkov%27s_construction_algorithm): its states are
the letters of the expression, by their index in it, so that a state tells which letter came last.
"""

from dataclasses import dataclass

START = -1
"""The state before the first token."""


@dataclass(frozen=True, slots=True)
class Grammar:
    """An automaton; its states are numbered from 0, beside START."""

    letters: str
    """The letter of each state."""
    following: dict[int, dict[str, int]]
    """From a state (or START), the state to which each letter leads."""
    final: frozenset[int]
    """States after which the answer may end."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of an expression: which states may be its first and last, and if it may be empty."""

    first: frozenset[int]
    last: frozenset[int]
    is_empty: bool


def compile_form(form: str) -> Grammar:
    """The automaton of an expression such as `(t+(llll)+)*`.

    Raises ValueError where a letter could lead to two states, or the syntax is wrong.
    """
    return _Compiler(form).compile()


class _Compiler:
    """Parses an expression by recursive descent, and collects which state may follow which."""

    def __init__(self, form: str) -> None:
        self._form = form
        self._at = 0
        self._letters: list[str] = []
        self._pairs: set[tuple[int, int]] = set()

    def compile(self) -> Grammar:
        whole = self._choice()
        if self._at != len(self._form):
            raise ValueError(f"{self._form!r}: unexpected {self._peek()!r} at {self._at}")
        pairs = self._pairs | {(START, state) for state in whole.first}
        following: dict[int, dict[str, int]] = {
            state: {} for state in range(START, len(self._letters))
        }
        for state, after in sorted(pairs):
            if following[state].setdefault(self._letters[after], after) != after:
                raise ValueError(f"{self._form!r}: {self._letters[after]!r} has two readings")
        final = whole.last | ({START} if whole.is_empty else frozenset())
        return Grammar("".join(self._letters), following, final)

    def _peek(self) -> str:
        return self._form[self._at : self._at + 1]

    def _choice(self) -> _Part:
        part = self._sequence()
        while self._peek() == "|":
            self._at += 1
            other = self._sequence()
            is_empty = part.is_empty or other.is_empty
            part = _Part(part.first | other.first, part.last | other.last, is_empty)
        return part

    def _sequence(self) -> _Part:
        whole = _Part(frozenset(), frozenset(), True)
        while self._peek() not in ("", "|", ")"):
            part = self._repeated()
            self._pairs |= {(a, b) for a in whole.last for b in part.first}
            first = whole.first | part.first if whole.is_empty else whole.first
            last = whole.last | part.last if part.is_empty else part.last
            whole = _Part(first, last, whole.is_empty and part.is_empty)
        return whole

    def _repeated(self) -> _Part:
        part = self._atom()
        while (sign := self._peek()) and sign in "*+?":
            self._at += 1
            if sign in "*+":
                self._pairs |= {(a, b) for a in part.last for b in part.first}
            part = _Part(part.first, part.last, part.is_empty or sign in "*?")
        return part

    def _atom(self) -> _Part:
        letter = self._peek()
        self._at += 1
        if letter == "(":
            part = self._choice()
            if self._peek() != ")":
                raise ValueError(f"{self._form!r}: a bracket is not closed")
            self._at += 1
            return part
        if not letter.isalpha():
            raise ValueError(f"{self._form!r}: unexpected {letter!r} at {self._at - 1}")
        self._letters.append(letter)
        state = frozenset({len(self._letters) - 1})
        return _Part(state, state, False)
