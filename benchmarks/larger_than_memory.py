"""Two million cells from simulation to scores within a stated memory: seconds and peak memory of every command.

python benchmarks/larger_than_memory.py --out DIR [--cells 2000000] [--memory 4GiB] [--page docs/larger_than_memory.md]

What a former call finished is not computed again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

MARK = "<!-- table -->"
STEPS: dict[str, list[str]] = {
    "simulate": ["--cells", "{cells}", "--genes", "2000", "--contexts", "8", "--perturbations", "50", "--batches", "4",
                 "--out", "counts.zarr"],
    "prepare": ["counts.zarr", "--genes", "1000", "--out", "prepared.zarr"],
    "split": ["--data", "prepared.zarr", "--context", "Line3", "--out", "split.json"],
    "fit": ["--data", "prepared.zarr", "--split", "split.json", "--model", "ConditionKriging", "--run", "run"],
    "predict": ["--run", "run", "--out", "predicted.zarr"],
    "evaluate": ["--predicted", "predicted.zarr", "--real", "prepared.zarr", "--out", "metrics.csv"],
    "fit VAE": ["--data", "prepared.zarr", "--split", "split.json", "--model", "VAE", "--model.num_epochs", "1",
                "--model.batch_size", "2048", "--run", "vae"],
}  # fmt: skip
"""Commands in order, each with what it takes; all have --memory besides."""


def measured(words: list[str], folder: Path) -> dict[str, float]:
    """Seconds and peak memory of one command."""
    started = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "cycseq", *words], cwd=folder)
    _, status, used = os.wait4(child.pid, 0)
    if status:
        msg = f"cycseq {' '.join(words)} ended with status {status}"
        raise SystemExit(msg)
    return {
        "wall_s": time.perf_counter() - started,
        "processor_s": used.ru_utime + used.ru_stime,
        "peak_gib": used.ru_maxrss / 2**20,
    }


def table(results: dict[str, dict[str, float]], memory: str) -> str:
    """The results as Markdown."""
    rows = [
        f"| `{name}` | {r['processor_s']:,.0f} | {r['wall_s']:,.0f} | {r['peak_gib']:.1f} |"
        for name, r in results.items()
    ]
    head = [f"| command, `--memory {memory}` | processor, s | clock, s | peak memory, GiB |", "|---|---|---|---|"]
    return "\n".join([*head, *rows])


def main() -> None:
    """Measure what is missing, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--cells", type=int, default=2_000_000)
    parser.add_argument("--memory", default="4GiB")
    parser.add_argument("--page", type=Path)
    said = parser.parse_args()
    said.out.mkdir(parents=True, exist_ok=True)
    kept = said.out / "results.json"
    results = json.loads(kept.read_text()) if kept.is_file() else {}
    for name, words in STEPS.items():
        if name not in results:
            asked = [word.format(cells=said.cells) for word in words]
            results[name] = measured([name.split()[0], *asked, "--memory", said.memory], said.out)
            kept.write_text(json.dumps(results, indent=1))
    made = table(results, said.memory)
    print(made)
    if said.page:
        head = said.page.read_text().partition(MARK)[0]
        said.page.write_text(f"{head}{MARK}\n\n{made}\n")


if __name__ == "__main__":
    main()
