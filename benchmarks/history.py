"""What each version costs: processor time and memory of every stage of `docs/speed/`, kept by version in `history.json`.

python benchmarks/history.py            # what changed since the version before
python benchmarks/history.py --record   # after speed.py has measured: keep this version's figures
"""

from __future__ import annotations

import argparse
import json
import tomllib
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parents[1]
HISTORY = Path(__file__).with_suffix(".json")
SLOWER = 1.25
"""From this ratio on a stage counts as slower: two runs on a machine with other work differ by less."""

Figures = dict[str, dict[str, float]]


def current_version() -> str:
    """The version in pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def measured() -> Figures:
    """The figures of cycseq that `speed.py` wrote last."""
    rows = pd.read_csv(ROOT / "docs" / "speed" / "results.csv")
    rows = rows[rows["kind"] == "ours"]
    return {
        f"{row.stage}: {row.size}, {row.form}": {"cpu_s": float(row.cpu_s)}
        | ({} if pd.isna(row.peak_gib) else {"peak_gib": float(row.peak_gib)})
        for row in rows.itertuples()
    }


def changes(before: Figures, after: Figures) -> list[str]:
    """A line for every stage that both versions have."""
    lines = []
    for name in before.keys() & after.keys():
        ratio = after[name]["cpu_s"] / before[name]["cpu_s"]
        lines.append(f"{ratio:5.2f} x  {name}{'  SLOWER' if ratio >= SLOWER else ''}")
    return sorted(lines, reverse=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true", help="Keep the figures of this version.")
    history = json.loads(HISTORY.read_text(encoding="utf-8")) if HISTORY.exists() else {}
    if parser.parse_args().record:
        history[current_version()] = measured()
        HISTORY.write_text(json.dumps(history, indent=1) + "\n", encoding="utf-8")
    *_, before, after = [{}, *history.values()]
    print("\n".join(changes(before, after)) or f"{len(history)} version: nothing to compare with")


if __name__ == "__main__":
    main()
