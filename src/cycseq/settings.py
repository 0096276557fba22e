"""Settings are dataclasses. What each field is, its type in words, and values of any source turned into that type.

The command line, `--config` files, model settings in JSON and the pages all use these few functions.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import json
import textwrap
import types
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from cycseq.errors import SettingsError, unknown_name
from cycseq.io.untrusted import parse_yaml

T = TypeVar("T")
TYPE_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
SWITCH = {"true": True, "yes": True, "false": False, "no": False}
MAX_SHOWN = 80
"""Characters of a bad value that a message repeats."""


def with_options(settings: T, options: Mapping[str, Any], owner: str) -> T:
    """The settings with these fields changed, each checked.

    Values are as Python or JSON has them (a path may be text, a tuple a list); `owner` names in the message whose settings they
    are. Raises `SettingsError` if there is no such setting (the nearest name is given), or a value is of the wrong kind.
    """
    names = [field.name for field in dataclasses.fields(settings) if field.init]  # type: ignore[arg-type]
    hints, values = get_type_hints(type(settings)), {}
    for name, value in options.items():
        if name not in names:
            raise unknown_name(name, f"setting of {owner}", names)
        values[name] = check_value(value, hints[name], f"{owner}.{name}")
    return dataclasses.replace(settings, **values)  # type: ignore[type-var]


def field_texts(kind: type) -> dict[str, str]:
    """The text below each field of a dataclass, its base classes' fields included."""
    texts: dict[str, str] = {}
    for owner in reversed(kind.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        (node,) = ast.parse(textwrap.dedent(inspect.getsource(owner))).body
        body = node.body if isinstance(node, ast.ClassDef) else []
        for field, text in pairwise(body):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
                is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
                value = text.value.value if is_text else ""  # type: ignore[attr-defined]
                texts[field.target.id] = inspect.cleandoc(value) if isinstance(value, str) else ""
    return texts


def alternatives(hint: Any) -> tuple[Any, ...]:
    """The members of a union; of any other type, itself."""
    return get_args(hint) if get_origin(hint) in {Union, types.UnionType} else (hint,)


def is_list(hint: Any) -> bool:
    """Whether a setting takes several values."""
    return any(get_origin(part) in {list, tuple} for part in alternatives(hint))


def literal_choices(hint: Any) -> list[str]:
    """The words that a type lists, as one types them."""
    return [str(choice) for part in alternatives(hint) if get_origin(part) is Literal for choice in get_args(part)]


def type_in_words(hint: Any) -> str:
    """A type in words: ``int | Literal["all"]`` is "a whole number or 'all'"."""
    words = []
    for part in alternatives(hint):
        if get_origin(part) is Literal:
            words += [repr(choice) for choice in get_args(part)]
        elif is_list(part):
            words.append("a list separated by commas")
        elif part is not types.NoneType:
            words.append(TYPE_WORDS.get(part, getattr(get_origin(part) or part, "__name__", str(part))))
    return " or ".join(words)


def parse_value(text: str, hint: Any, name: str) -> Any:
    """What a word of the command line stands for.

    ``null`` is None where that is allowed; lists are separated by commas or written as in JSON. A message calls the setting
    `name`. Raises `SettingsError` if the text fits none of the types that are allowed.
    """
    parts = alternatives(hint)
    if text == "null" and types.NoneType in parts:
        return None
    for part in sorted(parts, key=lambda part: part in {str, Path}):  # which take any text
        value = _parse(text, part)
        if value is not _UNFIT:
            return check_value(value, part, name)
    msg = f"{name} takes {type_in_words(hint)}, but got {_shorten(text)}."
    choices = literal_choices(hint)
    if len(choices) > 2:
        raise unknown_name(text, f"choice for {name}", choices)
    raise SettingsError(msg)


_UNFIT = object()


def _parse(text: str, part: Any) -> Any:
    """The text as a value of one type, for `check_value`; `_UNFIT` where it is none."""
    origin = get_origin(part)
    if origin is Literal:
        return next((choice for choice in get_args(part) if str(choice) == text), _UNFIT)
    if part is bool:
        return SWITCH.get(text.lower(), _UNFIT)
    if part in {int, float}:
        try:
            return part(text)
        except ValueError:
            return _UNFIT
    if origin in {list, tuple} and not text.startswith("["):
        items = [item.strip() for item in text.split(",") if item.strip()]
        inner = [arg for arg in get_args(part) if arg is not ...]
        kinds = inner * len(items) if len(inner) == 1 else inner
        if len(kinds) != len(items):
            return _UNFIT
        values = [_parse(item, kind) for item, kind in zip(items, kinds, strict=True)]
        return _UNFIT if any(value is _UNFIT for value in values) else values
    if origin in {list, tuple, dict}:
        try:
            return parse_yaml(text)
        except ValueError:
            return _UNFIT
    return text if part in {str, Path} else _UNFIT


def check_value(value: Any, hint: Any, name: str) -> Any:
    """A value of Python, JSON or YAML as one of the types that the hint allows.

    A path may be text, a tuple a list, and a whole number stand for a number. A message calls the setting `name`. Raises
    `SettingsError` if the value is of another kind; of several choices the nearest is named.
    """
    for part in alternatives(hint):
        origin = get_origin(part)
        if (part is types.NoneType and value is None) or (origin is Literal and value in get_args(part)):
            return value
        if part is Path and isinstance(value, str | Path):
            return Path(value)
        if part is float and isinstance(value, int | float) and not isinstance(value, bool):
            return _number(value, name)
        if origin in {list, tuple} and isinstance(value, list | tuple):
            inner = get_args(part)
            kinds = inner[:1] * len(value) if origin is list or inner[1:] == (...,) else inner
            if len(kinds) == len(value):
                return origin(check_value(one, kind, name) for one, kind in zip(value, kinds, strict=True))
        if type(value) is (origin or part):
            return value
    choices = literal_choices(hint)
    if choices and isinstance(value, str):
        raise unknown_name(value, f"choice for {name}", choices)
    none = " or None" if types.NoneType in alternatives(hint) else ""
    msg = f"{name} is {_shorten(value)} ({type(value).__name__}), but must be {type_in_words(hint)}{none}."
    raise SettingsError(msg)


def _number(value: float, name: str) -> float:
    try:
        return float(value)
    except OverflowError as err:
        msg = f"{name} is a number of {len(str(value))} digits, beyond what a computer counts with."
        raise SettingsError(msg) from err


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "..."


def as_plain(value: Any) -> Any:
    """A setting's value as YAML and JSON hold it: paths as text, tuples as lists."""
    return json.loads(json.dumps(value, default=str))
