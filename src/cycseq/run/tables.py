"""Reading back the tables of scores that are written here."""

from io import StringIO
from pathlib import Path

import pandas as pd

TEXTS = {
    *("model", "split", "context", "perturbation", "metric", "reason"),
    *("null_model", "baseline", "verdict", "scope", "beats", "ties", "loses_to"),
}
"""Columns of text in the tables; all others hold numbers."""


def read_table(source: Path | StringIO) -> pd.DataFrame:
    """A CSV that was written here: names stay as they are (a gene may be called NA), an empty number is NaN.

    Numbers are those that were written, to the last bit.
    """
    text = source.read_text(encoding="utf-8") if isinstance(source, Path) else source.getvalue()
    names = pd.read_csv(StringIO(text), nrows=0).columns
    texts, numbers = [n for n in names if n in TEXTS], [n for n in names if n not in TEXTS]
    kinds, missing = dict.fromkeys(texts, str), {name: [""] for name in numbers}
    return pd.read_csv(
        StringIO(text), dtype=kinds, keep_default_na=False, na_values=missing, float_precision="round_trip"
    )
