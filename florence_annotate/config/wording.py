"""What a setting takes, in words made from how its field is declared."""

import sys
from collections.abc import Collection
from enum import Enum
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo

from florence_annotate.declaration import Option


def types_of(field: FieldInfo) -> Collection[Any]:
    """The types that a setting may have."""
    annotation = field.annotation
    is_union = get_origin(annotation) not in (None, Literal, dict, tuple, Annotated)
    return get_args(annotation) if is_union else (annotation,)


def values_of(kind: Any) -> tuple[str, ...]:
    """The values of a type that can be listed; none of any other."""
    if get_origin(kind) is Literal:
        return tuple(map(str, get_args(kind)))
    return tuple(map(str, kind)) if isinstance(kind, type) and issubclass(kind, Enum) else ()


def what_to_write(field: FieldInfo) -> str:
    """For a message about a value that won't do: `write a number from 0 to 1`."""
    kinds = [kind for kind in types_of(field) if kind is not NoneType]
    names = [name for kind in kinds for name in values_of(kind)]
    others = [_in_words(kind, field) for kind in kinds if not values_of(kind)]
    if not others:
        return f"choose one of {', '.join(names)}"
    return f"write {', or '.join([*others, *names])}"


def _in_words(kind: Any, field: FieldInfo) -> str:
    metadata = list(field.metadata)
    if get_origin(kind) is Annotated:
        kind, *own = get_args(kind)
        metadata += [each for info in own for each in getattr(info, "metadata", ())]
    if kind in (int, float):
        return f"{'a whole number' if kind is int else 'a number'}{_bounds(metadata)}"
    if kind is bool:
        return "true or false"
    option = next((each for each in metadata if isinstance(each, Option)), None)
    return (option and option.metavar) or "text"


def _bounds(metadata: list[Any]) -> str:
    """` from 0 to 1`, with a space before it; empty where there are none."""
    least, above, most = (
        next(
            (value for each in metadata if (value := getattr(each, bound, None)) is not None), None
        )
        for bound in ("ge", "gt", "le")
    )
    if most is not None and most >= sys.maxsize:
        most = None
    if above is not None:
        return f" above {above:g}" + ("" if most is None else f", at most {most:g}")
    if least is None:
        return "" if most is None else f" of at most {most:g}"
    return f" of {least:g} or more" if most is None else f" from {least:g} to {most:g}"
