"""The page of a comparison: reconstruction and generation in tables, sentences and figures."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from cycseq.benchmarking.compare import LINEAR, NULL, REAL, ComparisonResult
from cycseq.benchmarking.families import FAMILIES, HIGHEST, OF_CONDITIONS, Family, summary
from cycseq.io.files import atomic_write, write_text
from cycseq.matrix.groups import group_moments
from cycseq.models import describe
from cycseq.score.verdicts import Bar, verdict_of
from cycseq.show import plots
from cycseq.show.report.figures import as_svg, draw_figure
from cycseq.show.report.numbers import listed, short
from cycseq.show.report.page import render
from cycseq.show.report.panels import Panel
from cycseq.show.report.sentences import clause
from cycseq.show.report.table import badness, direction_words
from cycseq.show.report.words import sources

PAGE, FIGURES = "comparison.html", "figures"
GENES_SHOWN = 4
Map = Literal["pca", "umap"]
Draw = Callable[..., Panel]  # `_draw` into the folder of the figures


def write_comparison(result: ComparisonResult, *, latent_map: Map = "pca") -> Path:
    """Write ``comparison.html`` and ``figures/*.png`` into the folder of a comparison, replacing earlier ones.

    Raises `MissingPackageError` if UMAP is asked for and not installed.

    Returns
    -------
    Path
        Where the page is.
    """
    draw, record = partial(_draw, result.folder / FIGURES), result.record
    panels = {
        "Training": _losses(result, draw),
        "Latent space": _latents(result, latent_map, draw),
        "Generated cells": _generated(result, draw),
        "Single genes": _genes(result, draw),
    }
    models = [
        (
            name,
            describe(name),
            run.facts["settings"],
            {k: v for k, v in run.model.learned.facts.items() if isinstance(v, int | float)},
        )
        for name, run in result.runs.items()
    ]
    values: dict[str, Any] = {
        "title": f"{listed(list(result.runs))}: reconstruction and generation",
        "record": record,
        "split": record["splits"][0],
        "sentences": sentences(result),
        "tables": [_table(result, "reconstruction"), _table(result, "generation")],
        "models": models,
        "panels": {title: group for title, group in panels.items() if group},
        "sources": sources(list(dict.fromkeys(name for names in FAMILIES.values() for name in names))),
        "versions": record["versions"],
    }
    write_text(result.folder / PAGE, render("comparison.html", values), overwrite=True)
    return result.folder / PAGE


def _draw(
    folder: Path,
    name: str,
    title: str,
    note: str,
    draw: Callable[..., Axes],
    *what: Any,
    width: float = 4.2,
    height: float = 3.9,
) -> Panel:
    """The figure of these data for the page; a PNG of this name is written into the folder."""
    figure = draw_figure(lambda ax: draw(*what, ax=ax), width=width, height=height)
    with atomic_write(folder / f"{name}.png", overwrite=True) as part:
        figure.savefig(part, format="png", dpi=150)
    return Panel(title, note, as_svg(figure, title=title))


def sentences(result: ComparisonResult) -> list[str]:
    """What the tables say, including where the networks lose."""
    values = summary(result.metrics)
    texts = []
    for model in (name for name in result.reconstructed if name != LINEAR):
        name = "reconstruction/per_gene_mse"
        ratio = float(values[model, name] / values[LINEAR, name])
        texts.append(
            f"{model} reconstructs test cells with {ratio:.3f} times the squared error of a PCA of as many "
            f"components; over conditions it {_verdict(result, model, LINEAR, name)}."
        )
    for model in (name for name in result.generated if name not in {REAL, NULL}):
        name = "generation/pearson_delta"
        auc, real = (float(values[who, "generation/c2st_auc"]) for who in (model, REAL))
        texts.append(
            f"Cells that {model} generates from control cells have a mean response that correlates "
            f"{short(float(values[model, name]))} with the real one (mean over conditions); it "
            f"{_verdict(result, model, NULL, name)}. A classifier tells them from real cells with an area under the "
            f"curve of {short(auc)} ({short(real)} for other real cells)."
        )
    return texts


def _verdict(result: ComparisonResult, model: str, baseline: str, metric: str) -> str:
    """The verdict in words. Where other real cells are not better than control cells, the metric cannot tell."""
    rows = result.differences
    rows = rows[(rows["baseline"] == baseline) & (rows["metric"] == metric)].set_index("model", drop=False)
    if model not in rows.index:
        return f"has no condition in common with {baseline}"
    bar: Bar = "cannot tell" if REAL in rows.index and rows.loc[REAL, "verdict"] not in ("beats", "") else ""
    return clause(verdict_of(rows.loc[model].to_dict(), bar))


def _table(result: ComparisonResult, family: Family) -> dict[str, Any]:
    """Metrics of all test cells together (of a response: means over conditions); the best of the models is marked."""
    wide = summary(result.metrics[result.metrics["metric"].str.startswith(f"{family}/")]).unstack("metric")
    wide.columns = wide.columns.str.removeprefix(f"{family}/")
    columns = [name for name in (*FAMILIES[family], HIGHEST) if name in wide]
    order = list(result.reconstructed if family == "reconstruction" else result.generated)
    models = [name for name in order if name not in {REAL, NULL}]
    best = {name: _best(name, wide.loc[models, name]) for name in columns}
    rows = [
        (model, model in {REAL, NULL, LINEAR}, [(float(wide[name][model]), best[name] == model) for name in columns])
        for model in order
    ]
    return {"family": family, "columns": [(name, _direction(name)) for name in columns], "rows": rows}


def _best(metric: str, values: pd.Series) -> str:
    if metric == HIGHEST or not values.notna().any():
        return ""
    return str(list(values.index)[int(np.nanargmin(badness(metric, values)))])


def _direction(metric: str) -> str:
    if metric == HIGHEST:
        return "nearer to 1 is better"
    return direction_words(metric) + ("; mean over conditions" if metric in OF_CONDITIONS else "")


def _losses(result: ComparisonResult, draw: Draw) -> list[Panel]:
    histories = {name: run.history() for name, run in result.runs.items()}
    note = "by epoch; dashed: validation cells"
    return [
        draw(f"losses_{name}", f"Losses of {name}", note, plots.loss_curves, history)
        for name, history in histories.items()
        if history is not None
    ]


def _latents(result: ComparisonResult, latent_map: Map, draw: Draw) -> list[Panel]:
    """Test cells in each latent space, coloured by perturbation, and by context where there are several."""
    obs = result.test.adata.obs
    kinds = ["perturbation", *(["context"] if len(result.test.contexts) > 1 else [])]
    axis, plane_of = ("UMAP", plots.umap_plane) if latent_map == "umap" else ("PC", plots.pca_plane)
    points = partial(plots.points_map, axis=axis)
    panels = []
    for name, latent in result.latent.items():
        plane, title = plane_of(latent), f"Latent space of {name}"
        for kind in kinds:
            note = f"test cells by {kind}, {axis} of the latent space"
            panels.append(draw(f"latent_{name}_{kind}", title, note, points, plane, obs[kind].to_numpy()))
    return panels


def _generated(result: ComparisonResult, draw: Draw) -> list[Panel]:
    """Real against generated cells: maps, means, variances, zeros."""
    models = {name: cells for name, cells in result.generated.items() if name not in {REAL, NULL}}
    real, scatter = result.test.perturbed(), partial(plots.cells_map, method="pca")
    every = {"real": real, **models}
    of_means, of_cells = (
        "real test cells against generated ones, all conditions",
        "real, generated and control test cells in principal components",
    )
    panels = [
        draw("gene_means", "Means of genes", of_means, plots.gene_means, every),
        draw("zero_fractions", "Shares of zeros", "every gene a dot", plots.zero_fractions, every),
    ]
    for name, cells in models.items():
        title, note = f"Mean and variance: {name}", "every gene a dot, log scales"
        panels += [
            draw(f"mean_variance_{name}", title, note, plots.mean_variance, {"real": real, name: cells}),
            draw(f"cells_{name}", f"Cells: {name}", of_cells, scatter, result.test, cells),
        ]
    return panels


def _genes(result: ComparisonResult, draw: Draw) -> list[Panel]:
    """The genes that vary most in the real test cells."""
    real = result.test.perturbed()
    variance = group_moments(real.x, np.zeros(real.n_cells, dtype=np.int64), 1).variance[0]
    top = [real.genes[i] for i in np.argsort(-variance, kind="stable")[:GENES_SHOWN]]
    generated = {name: cells for name, cells in result.generated.items() if name not in {REAL, NULL}}
    note, cells = "real and generated values; a curve starts at the share of zeros", {"real": real, **generated}
    return [
        draw(f"gene_{i}", gene, note, plots.gene_distribution, cells, gene, width=3.9, height=3.2)
        for i, gene in enumerate(top, 1)
    ]
