"""What an image is called in its job: its path from its source's folder, as printable text."""

import os
import shlex
from collections.abc import Callable, Collection


def printable(path: bytes) -> str:
    """A path as printable text, one text for one path.

    Valid UTF-8 stays as it is; bytes that are none become `\\xNN`, control and other unprintable
    characters `\\uNNNN`, and a backslash is doubled, so that no two paths become equal.
    """
    text = os.fsdecode(path) if os.name == "nt" else path.decode("utf-8", "surrogateescape")
    if text.isprintable() and "\\" not in text:
        return text  # as nearly all do
    return "".join(_escape(character) for character in text)


def _escape(character: str) -> str:
    code = ord(character)
    if character == "\\" and os.name != "nt":
        return "\\\\"
    if 0xDC80 <= code <= 0xDCFF:  # how surrogateescape carries a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if character.isprintable():
        return character
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def in_shell(*words: str) -> str:
    """A command that is printed to be copied.

    What can't be printed would speak to the terminal; such a word is written as `$'…'`, which bash
    and zsh read, with the bytes in octal.
    """
    return " ".join(shlex.quote(one) if one.isprintable() else _as_bash_reads(one) for one in words)


def _as_bash_reads(word: str) -> str:
    return "$'" + "".join(_in_octal(character) for character in word) + "'"


def _in_octal(character: str) -> str:
    if character.isprintable() and character not in "\\'":
        return character
    return "".join(f"\\{byte:03o}" for byte in os.fsencode(character))


def key_of(path: bytes, folder: bytes, prefix: str, prefixes: Collection[str]) -> str:
    """The key of an image, whose source's folder has this prefix; `prefixes` are those of all.

    A folder that bears the name of another source, in a source without a prefix, gets a `\\-`
    behind its name: no other name has a single backslash there.
    """
    start = folder.rstrip(b"/") + b"/"
    inside = path[len(start) :] if path.startswith(start) else path.lstrip(b"/")
    key = printable(inside).replace(os.sep, "/")
    if prefix or len(prefixes) == 1:
        return prefix + key  # no other source is there whose name it might bear
    top, slash, rest = key.partition("/")
    return f"{top}\\-/{rest}" if slash and f"{top}/" in prefixes else key


def path_of(key: str, seen_at: bytes, folder: bytes, prefix: str) -> bytes:
    """Where an image would lie that has this key and was seen somewhere else before.

    `folder` is where its source lies now. The bytes of its name come from the path at which it was
    seen, since a key does not tell them.
    """
    parts = key.removeprefix(prefix).count("/") + 1
    if parts == seen_at.count(b"/"):
        return seen_at  # a list names it, and it lies outside of the list's folder
    return os.path.join(folder, *seen_at.split(b"/")[-parts:])


def unique(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, with a number before its ending where it is taken."""
    stem, suffix = os.path.splitext(name)
    number, candidate = 2, name
    while is_taken(candidate):
        candidate = f"{stem}-{number}{suffix}"
        number += 1
    return candidate
