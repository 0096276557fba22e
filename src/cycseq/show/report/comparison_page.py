"""The page of a comparison: what the networks reconstruct and generate, in tables, sentences and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cycseq.benchmarking.compare import NULL, REAL, ComparisonResult
from cycseq.benchmarking.families import HIGHEST, OF_CONDITIONS, TASKS, summary
from cycseq.benchmarking.pca import NAME as PCA
from cycseq.io.files import whole, write_text
from cycseq.matrix.groups import group_moments
from cycseq.models import describe
from cycseq.score.metrics import METRICS
from cycseq.score.verdicts import Bar, verdict_of
from cycseq.show import plots
from cycseq.show.report.figures import as_svg, drawn
from cycseq.show.report.numbers import listed, short
from cycseq.show.report.page import render
from cycseq.show.report.panels import Panel
from cycseq.show.report.sentences import clause
from cycseq.show.report.words import sources

PAGE, FIGURES = "comparison.html", "figures"
GENES_SHOWN = 4
Map = Literal["pca", "umap"]


@dataclass(frozen=True)
class Drawing:
    """A figure, to be kept twice: as a PNG file, and in the page."""

    name: str
    """Of the file."""
    title: str
    note: str
    draw: Callable[[Axes], object]
    width: float = 4.2
    height: float = 3.9


def write_comparison(result: ComparisonResult, *, latent_map: Map = "pca") -> Path:
    """Write ``comparison.html`` and ``figures/*.png`` into the folder of a comparison, replacing earlier ones.

    Parameters
    ----------
    result
        What `cycseq.benchmarking.compare` returned.
    latent_map
        How latent spaces are drawn in two dimensions.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    MissingPackageError
        If UMAP is asked for and not installed.
    """
    groups = {
        "Training": _losses(result),
        "Latent space": _latents(result, latent_map),
        "Generated cells": _generated(result),
        "Single genes": _genes(result),
    }
    folder = result.folder / FIGURES
    panels = {title: [_panel(drawing, folder) for drawing in group] for title, group in groups.items() if group}
    record = result.record
    values: dict[str, Any] = {
        "title": f"{listed(list(record['runs']))}: reconstruction and generation",
        "record": record,
        "sentences": sentences(result),
        "tables": [_table(result, "reconstruction"), _table(result, "generation")],
        "models": [(name, describe(name), record["settings"][name], record["facts"][name]) for name in record["runs"]],
        "panels": panels,
        "sources": sources(list(dict.fromkeys(name for names in TASKS.values() for name in names))),
        "versions": record["versions"],
    }
    write_text(result.folder / PAGE, render("comparison.html", values), overwrite=True)
    return result.folder / PAGE


def _panel(drawing: Drawing, folder: Path) -> Panel:
    """The figure for the page; its PNG is written into the folder."""
    figure = drawn(drawing.draw, width=drawing.width, height=drawing.height)
    with whole(folder / f"{drawing.name}.png", overwrite=True) as part:
        figure.savefig(part, format="png", dpi=150)
    return Panel(drawing.title, drawing.note, as_svg(figure, title=drawing.title))


def sentences(result: ComparisonResult) -> list[str]:
    """What the tables say, including where the networks lose."""
    values = summary(result.metrics)
    found = []
    for model in (name for name in result.reconstructed if name != PCA):
        name = "reconstruction/per_gene_mse"
        ratio = float(values[model, name] / values[PCA, name])
        found.append(
            f"{model} reconstructs test cells with {ratio:.3f} times the squared error of a PCA of as many "
            f"components; over conditions it {_verdict(result, model, PCA, name)}."
        )
    for model in (name for name in result.generated if name not in {REAL, NULL}):
        name = "generation/pearson_delta"
        auc, real = (float(values[who, "generation/c2st_auc"]) for who in (model, REAL))
        found.append(
            f"Cells that {model} makes of control cells have a mean response that correlates "
            f"{short(float(values[model, name]))} with the real one (mean over conditions); it "
            f"{_verdict(result, model, NULL, name)}. A classifier tells them from real cells with an area under the "
            f"curve of {short(auc)} ({short(real)} for other real cells)."
        )
    return found


def _verdict(result: ComparisonResult, model: str, baseline: str, metric: str) -> str:
    """The verdict in words. Where other real cells are not shown to be better than control cells, the metric cannot tell."""
    rows = result.differences
    rows = rows[(rows["baseline"] == baseline) & (rows["metric"] == metric)].set_index("model", drop=False)
    if model not in rows.index:
        return f"has no condition in common with {baseline}"
    bar: Bar = "cannot tell" if REAL in rows.index and rows.loc[REAL, "verdict"] not in ("beats", "") else ""
    return clause(verdict_of(rows.loc[model].to_dict(), bar))


def _table(result: ComparisonResult, task: Literal["reconstruction", "generation"]) -> dict[str, Any]:
    """Metrics of all test cells together (of a response: means over conditions); the best of the models is marked."""
    wide = summary(result.metrics[result.metrics["metric"].str.startswith(f"{task}/")]).unstack("metric")
    wide.columns = wide.columns.str.removeprefix(f"{task}/")
    columns = [name for name in (*TASKS[task], HIGHEST) if name in wide]
    order = list(result.reconstructed if task == "reconstruction" else result.generated)
    models = [name for name in order if name not in {REAL, NULL}]
    best = {name: _best(name, wide.loc[models, name]) for name in columns}
    return {
        "task": task,
        "columns": [(name, _direction(name)) for name in columns],
        "rows": [
            (
                model,
                model in {REAL, NULL, PCA},
                [(float(wide[name][model]), best[name] == model) for name in columns],
            )
            for model in order
        ],
    }


def _best(metric: str, values: pd.Series) -> str:
    if metric == HIGHEST or not values.notna().any():
        return ""
    goodness = pd.Series(METRICS[metric].goodness(values.to_numpy(dtype=np.float64)), index=values.index)
    return str(goodness.idxmax())


def _direction(metric: str) -> str:
    if metric == HIGHEST:
        return "near 1"
    known = METRICS[metric]
    return {"higher": "higher is better", "lower": "lower is better", "target": f"near {short(known.best)}"}[
        known.direction
    ] + ("; mean over conditions" if metric in OF_CONDITIONS else "")


def _into(draw: Callable[..., Axes], *what: Any) -> Callable[[Axes], Axes]:
    """A figure of these data, still without its axes."""
    return lambda ax: draw(*what, ax=ax)


def _losses(result: ComparisonResult) -> list[Drawing]:
    return [
        Drawing(
            f"losses_{name}",
            f"Losses of {name}",
            "by epoch; dashed: validation cells",
            _into(plots.loss_curves, history),
        )
        for name, history in result.histories.items()
    ]


def _latents(result: ComparisonResult, latent_map: Map) -> list[Drawing]:
    """Test cells in each latent space, coloured by perturbation, and by context where there are several."""
    obs = result.test.adata.obs
    kinds = ["perturbation", *(["context"] if len(result.test.contexts) > 1 else [])]
    axis = "UMAP" if latent_map == "umap" else "PC"
    drawings = []
    for name, latent in result.latent.items():
        plane = plots.umap_plane(latent) if latent_map == "umap" else plots.pca_plane(latent)
        drawings += [
            Drawing(
                f"latent_{name}_{kind}", f"Latent space of {name}", f"test cells by {kind}, {axis} of the latent space",
                _into(partial(plots.points_map, axis=axis), plane, obs[kind].to_numpy()),
            )
            for kind in kinds
        ]  # fmt: skip
    return drawings


def _generated(result: ComparisonResult) -> list[Drawing]:
    """Real against generated cells: maps, means, variances, zeros."""
    real = result.test.subset(c for c in result.test.conditions() if not c.is_control)
    models = {name: cells for name, cells in result.generated.items() if name not in {REAL, NULL}}
    sources_ = {"real": real, **models}
    drawings = [
        Drawing("gene_means", "Means of genes", "real test cells against generated ones, all conditions", _into(plots.gene_means, sources_)),
        Drawing("zero_fractions", "Shares of zeros", "every gene a dot", _into(plots.zero_fractions, sources_)),
    ]  # fmt: skip
    for name, cells in models.items():
        pair = {"real": real, name: cells}
        drawings += [
            Drawing(f"mean_variance_{name}", f"Mean and variance: {name}", "every gene a dot, log scales", _into(plots.mean_variance, pair)),
            Drawing(f"cells_{name}", f"Cells: {name}", "real, generated and control test cells in principal components",
                    _into(partial(plots.cells_map, method="pca"), result.test, cells)),
        ]  # fmt: skip
    return drawings


def _genes(result: ComparisonResult) -> list[Drawing]:
    """The genes that vary most in the real test cells."""
    real = result.test.subset(c for c in result.test.conditions() if not c.is_control)
    variance = group_moments(real.x, np.zeros(real.n_cells, dtype=np.int64), 1).variance[0]
    top = [real.genes[i] for i in np.argsort(-variance, kind="stable")[:GENES_SHOWN]]
    made = {name: cells for name, cells in result.generated.items() if name not in {REAL, NULL}}
    return [
        Drawing(f"gene_{i}", gene, "real and generated values; a curve starts at the share of zeros",
                _into(plots.gene_distribution, {"real": real, **made}, gene), 3.9, 3.2)
        for i, gene in enumerate(top, 1)
    ]  # fmt: skip
