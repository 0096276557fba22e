"""The page: numbers, sentences and figures put into the templates."""

import json
import re
import shlex
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from cycseq.benchmarking.tables import BenchmarkResult, open_benchmark
from cycseq.errors import FileError, SettingsError, count_of
from cycseq.io.files import check_output, require_file, write_text
from cycseq.io.untrusted import as_file_error, cycseq_command
from cycseq.models import describe
from cycseq.score.ceiling import SPLIT_HALF
from cycseq.score.settings import EvaluateSettings
from cycseq.score.verdicts import Judgement, Word
from cycseq.show.report import numbers, sentences, words
from cycseq.show.report.certainty import percent
from cycseq.show.report.judged import Judged
from cycseq.show.report.panels import context_groups, metric_panels
from cycseq.show.report.run_page import run_page
from cycseq.show.report.settings import Stratum
from cycseq.show.report.table import discrimination, explain, is_model, unbiased, wrong_target
from cycseq.split.settings import SplitSettings

MAX_ROWS = 3000  # rows of the table of conditions that a page shows


def write_report(
    folder: Path | str, out: Path | str | None = None, *, stratum: Stratum = "all", overwrite: bool = False
) -> Path:
    """Write one self-contained HTML page about a benchmark or a run.

    Parameters
    ----------
    folder
        What `cycseq benchmark --out` or `cycseq fit --run` wrote.
    out
        Where to write; None is `report.html` (or `report_reproducible.html`) in the folder, which is replaced.
    stratum
        Which tested conditions of a benchmark: all, or those whose measured response is reproducible.
    overwrite
        Whether another file of this name may be replaced.

    Returns
    -------
    Path
        Where the page is.

    Raises
    ------
    FileError
        If the folder is neither a benchmark nor a run, or the page exists.
    DataError
        If no tested condition has a reproducible response.
    SettingsError
        If a stratum of a run is asked for.

    Examples
    --------
    >>> import cycseq
    >>> from pathlib import Path
    >>> settings = cycseq.BenchmarkSettings(models=["ContextAdditive"], seeds=1)
    >>> result = cycseq.benchmark(
    ...     cycseq.read("cells.h5ad"),
    ...     settings,
    ...     Path("benchmark"),
    ...     splitting=cycseq.SplitSettings(context="Line3"),
    ...     evaluation=cycseq.EvaluateSettings("pearson_delta"),
    ... )
    >>> cycseq.write_report(Path("benchmark"), overwrite=True).name
    'report.html'
    """
    folder, out = Path(folder), None if out is None else Path(out)
    require_file(folder)
    with as_file_error(folder, "Make it again with the command that made it."):
        if (folder / "benchmark.json").is_file():
            return write_benchmark(open_benchmark(folder), out, stratum=stratum, overwrite=overwrite)
        if not (folder / "run.json").is_file():
            raise FileError(
                f"{folder} is neither a benchmark nor a run: name the folder that cycseq benchmark or cycseq fit wrote."
            )
        if stratum != "all":
            msg = f"{folder} is a run, which has no strata: leave out --stratum, or name the folder of a benchmark."
            raise SettingsError(msg)
        path = check_output(out or folder / "report.html", overwrite=overwrite or out is None)
        write_text(path, render("run.html", run_page(folder)), overwrite=overwrite or out is None)
    return path


def write_benchmark(
    result: BenchmarkResult, out: Path | None = None, *, stratum: Stratum = "all", overwrite: bool = False
) -> Path:
    """As `write_report`, of a benchmark whose tables are at hand."""
    name = "report.html" if stratum == "all" else f"report_{stratum}.html"
    path = check_output(out or result.folder / name, overwrite=overwrite or out is None)
    page = render("benchmark.html", benchmark_page(result if stratum == "all" else result.reproducible_alone()))
    write_text(path, page, overwrite=overwrite or out is None)
    return path


TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Characters that turn the direction of text, so that a name reads as another, and halves of characters."""


def render(template: str, values: dict[str, Any]) -> str:
    """The template with these values; whatever is text is escaped, and what would turn its direction is shown."""
    environment = Environment(
        loader=PackageLoader("cycseq.show.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "short": numbers.short,
        "interval": numbers.interval,
        "breakable": numbers.breakable,
        "explain": explain,
        "percent": percent,
        "tag": sentences.tag,
    }
    environment.globals |= {"count_of": count_of, "listed": numbers.listed, "interval": numbers.interval}
    return TURNING.sub(lambda match: ascii(match[0])[1:-1], environment.get_template(template).render(values))


def benchmark_page(result: BenchmarkResult) -> dict[str, Any]:
    """Everything that the page of a benchmark says."""
    record = result.record
    kinds = list(dict.fromkeys(split["kind"] for split in record["splits"]))
    name = Path(record["data"]["path"]).name if record["data"]["path"] else "the data"
    sections = [_section(result, kind) for kind in kinds]
    return {
        "title": f"Benchmark on {name}" + (f": {record['stratum']}" if "stratum" in record else ""),
        "record": record,
        "data_name": name,
        "contexts": _contexts(record["data"]["conditions"]),
        "sections": sections,
        "sources": words.sources(list(dict.fromkeys(m for one in sections for m in one["condition_metrics"]))),
        "references": words.references(
            record["models"], list(dict.fromkeys(m for one in sections for m in one["condition_metrics"]))
        ),
        "failed": result.failed,
        "models": [(model, describe(model)) for model in record["models"]],
        "versions": record["versions"],
        "repeat": cycseq_command(record["command"]) or _in_python(record),
    }


def _section(result: BenchmarkResult, kind: str) -> dict[str, Any]:
    """All that concerns one kind of split."""
    splits = [split for split in result.record["splits"] if split["kind"] == kind]
    judged = Judged.of(result, kind)
    summary, judgement, table, rows = judged.summary, judged.judgement, judged.table, judged.metrics
    groups, left_out = context_groups(result, kind, table, judged.metric, judged.contexts)
    shown = [column.metric for column in table.columns]
    conditions, n_conditions_left_out = _by_condition(rows, shown)
    return {
        "kind": kind,
        "held_out": words.held_out(kind),
        "controls": words.controls(splits, kind, of_effects=result.of_effects),
        "claims": list(dict.fromkeys(split["claim"] for split in splits)),
        "splits": splits,
        "n_conditions": len({tuple(pair) for split in splits for pair in split["test"]}),
        "in_short": judged.in_short(),
        "scope": sentences.about(table),
        "table": table,
        "wrong_target": wrong_target(summary, table),
        "panels": metric_panels(summary, table),
        "certainties": judged.certainties,
        "discrimination": discrimination(summary, table),
        "unbiased": unbiased(summary, table),
        "duels": _duels(judgement, shown, table.order),
        "groups": groups,
        "left_out": left_out,
        "details": summary[is_model(summary["model"])].to_dict("records"),
        "conditions": conditions,
        "conditions_left_out": n_conditions_left_out,
        "condition_metrics": shown,
        "cannot_tell": words.cannot_tell(result, kind, table, judgement),
        "not_applicable": words.not_applicable(result, kind),
        "methods": words.methods(result, kind),
    }


def _contexts(conditions: Sequence[Sequence[str | int]]) -> list[dict[Any, Any]]:
    """Cells and perturbations of every context."""
    table = pd.DataFrame(conditions, columns=["context", "perturbation", "cells"])
    control = table["perturbation"] == "control"
    table = table.assign(control=table["cells"].where(control), perturbed=table["cells"].where(~control))
    of_context = table.groupby("context")
    rows = of_context[["control", "perturbed"]].sum()
    rows = rows.assign(perturbations=of_context["perturbed"].count(), fewest=of_context["perturbed"].min().fillna(0))
    return rows.astype(int).reset_index().to_dict("records")


def _duels(judgement: Judgement, metrics: list[str], order: list[str]) -> dict[str, Any]:
    """In how many headline metrics each model is better than, indistinguishable from and worse than each baseline."""
    counts = Counter((v.model, v.other, v.word) for v in judgement.verdicts if v.metric in metrics)
    tested = {v.other for v in judgement.verdicts if v.metric in metrics and v.word != "too few conditions"}
    baselines = [name for name in order if name in tested]
    words: tuple[Word, ...] = ("better", "indistinguishable", "worse", "no claim")
    rows = [(model, [[counts[model, baseline, word] for word in words] for baseline in baselines]) for model in order]
    return {"baselines": baselines, "rows": rows}


def _by_condition(rows: pd.DataFrame, metrics: list[str]) -> tuple[list[dict[Any, Any]], int]:
    """The headline metrics of every condition and model, means over seeds: the first of them, and how many more there are."""
    names = rows["model"].drop_duplicates()
    models = names[is_model(names) | (names == SPLIT_HALF)]
    shown = rows[rows["metric"].isin(metrics) & rows["model"].isin(models)]
    table = shown.groupby(["context", "perturbation", "model", "metric"])["value"].mean().unstack("metric")
    scores = table.reindex(columns=metrics)
    first = scores.head(MAX_ROWS).reset_index().to_dict("records")
    return [{**row, "values": [row[metric] for metric in metrics]} for row in first], len(scores) - len(first)


def _in_python(record: dict[str, Any]) -> str:
    """The command that does what a call from Python did, as far as the record says what that was."""
    settings = record["asked"]
    kinds = sorted({split["kind"] for split in record["splits"]})
    options: dict[str, Any] = {
        "data": record["data"]["path"] or "DATA.h5ad",
        "split": kinds,
        "models": settings["models"],
        "seeds": settings["seeds"],
    }
    usual_split = asdict(SplitSettings())
    options |= {k: v for k, v in record["splitting"].items() if k not in {"kind", "seed"} and v != usual_split[k]}
    of_models = {
        model: {k: _without_hash(v) for k, v in values.items()} for model, values in settings["model_settings"].items()
    }
    options |= {name: value for name, value in (("model_settings", of_models), ("cells", settings["cells"])) if value}
    usual = json.loads(json.dumps(asdict(EvaluateSettings())))
    options |= {name: value for name, value in settings["evaluation"].items() if value != usual.get(name)}
    arguments = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", _typed(value))]
    return shlex.join(["cycseq", "benchmark", *arguments, "--out", "OUT/"])


def _without_hash(value: Any) -> Any:
    """The record names a file together with a hash of what it holds."""
    if not isinstance(value, list):
        return value
    is_file = len(value) == 2 and re.fullmatch("[0-9a-f]{16}", str(value[1]))
    return value[0] if is_file else [_without_hash(one) for one in value]


def _typed(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return json.dumps(value) if isinstance(value, bool | dict) else str(value)
