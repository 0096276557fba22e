"""What the page of a single run says."""

from pathlib import Path
from typing import Any

from cycseq.models import describe
from cycseq.run.folder import Run
from cycseq.show import plots
from cycseq.show.report.figures import svg
from cycseq.show.report.panels import Panel
from cycseq.show.report.words import sources


def run_page(folder: Path) -> dict[str, Any]:
    """Settings, split, losses and scores of a fitted model."""
    run = Run.open(folder)
    history, metrics, panels = run.history(), run.metrics(), []
    if history is not None and history.shape[1] > 1:
        image = svg(lambda ax: plots.loss_curves(history, ax=ax), title="Losses by epoch", width=5.5)
        panels.append(Panel("Losses", "by epoch", image))
    scores: list[dict[str, Any]] = []
    if metrics is not None:
        means = metrics.groupby("metric", sort=False)["value"].agg(["mean", "min", "max", "count", "size"])
        scores = [{"metric": name, **row} for name, row in means.iterrows()]
    return {
        "title": f"Run {folder.resolve().name}: {run.facts['model']}",
        "facts": {**run.environment, **run.facts},
        "versions": run.environment["versions"],
        "does": describe(run.facts["model"]),
        "split": run.split,
        "learned": run.model.learned,
        "panels": panels,
        "scores": scores,
        "sources": sources([row["metric"] for row in scores]),
        "next": _next(run),
        "repeat": run.repeat_command(),
    }


def _next(run: Run) -> str:
    data = run.facts["data"]["path"] or "DATA.h5ad"
    cells = run.folder / "predictions" / "test.h5ad"
    if not run.split.test:  # nothing was held out, so that there is nothing to score
        return f"cycseq predict --run {run.folder} --conditions CONTEXT:PERTURBATION --out {cells}"
    return (
        f"cycseq predict --run {run.folder} --out {cells}\n"
        f"cycseq evaluate --predicted {cells} --real {data} --split {run.folder / 'split.json'} --out {run.folder / 'metrics.csv'}\n"
        f"cycseq report {run.folder}"
    )
