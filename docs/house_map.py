"""The map of the house, made from the code: floors from the import contract, sentences from the rooms' own first lines."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
WIDTH = 15


def floors() -> list[list[tuple[str, str]]]:
    """The rooms of every floor, the lowest first: name in `src/cycseq/`, and what it holds."""
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(contract["layers"] for contract in contracts if contract["id"] == "floors")
    return [[_room(name.strip()) for name in layer.split("|")] for layer in reversed(layers)]


def readme_lines() -> list[str]:
    """What README says of `src/cycseq/`: a room a line."""
    return [f"  {name:<{WIDTH}} {sentence}" for floor in floors() for name, sentence in floor]


def _room(name: str) -> tuple[str, str]:
    package = ROOT / "src" / "cycseq" / name
    path = package / "__init__.py" if package.is_dir() else package.with_suffix(".py")
    sentence = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n")[0]
    return (f"{name}/" if package.is_dir() else f"{name}.py"), sentence.replace("`", "").rstrip(".")
