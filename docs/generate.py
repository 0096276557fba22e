"""What the pages say of metrics, settings, splits and commands, written from the code itself; and maths without scripts."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import re
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any, get_type_hints

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml
from house_map import floors
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

if TYPE_CHECKING:
    from cycseq.data.effects import Effects


class FromCode(SphinxDirective):
    """A directive whose Markdown is made when the page is built."""

    optional_arguments = 1

    def markdown(self) -> Iterable[str]:
        """The lines."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """Those lines, read as if they stood in the page; again at every build, as the code may have changed."""
        self.env.note_reread()
        return self.parse_text_to_nodes("\n".join(self.markdown()), allow_section_headings=True)


class Metrics(FromCode):
    """Every metric of a module of `cycseq.score.metrics`: formula, source, best value, how it can be gamed."""

    def markdown(self) -> Iterable[str]:
        """A definition list."""
        for metric in import_module(f"cycseq.score.metrics.{self.arguments[0]}").METRICS:
            better = {"higher": "higher is better", "lower": "lower is better"}.get(
                metric.direction, "nearer is better"
            )
            yield f"({metric.name})=\n`{metric.name}`"
            yield ":   " + re.sub(r"([*_|^])", r"\\\1", metric.formula)
            yield f"\n    Best: {metric.best:g} ({better}). Source: {metric.source}."
            needs = f" *Needs* {' and '.join(metric.needs)}, beside effects." if metric.needs else ""
            yield f"\n    *How it can be gamed:* {metric.caution}.{needs}\n"


class Settings(FromCode):
    """The fields of a settings dataclass: `{settings} cycseq.models.networks.vae.VAE`."""

    def markdown(self) -> Iterable[str]:
        """A table, or a sentence where there are no settings."""
        module, _, name = self.arguments[0].rpartition(".")
        kind = getattr(import_module(module), name)
        fields = [f for f in dataclasses.fields(kind) if f.init]
        if not fields:
            yield f"`{name}` has no settings."
            return
        from cycseq.settings import field_texts, type_in_words

        said, hints = field_texts(kind), get_type_hints(kind)
        yield "| setting | type | usual | what it does |\n|---|---|---|---|"
        for f in fields:
            default = f.default if f.default_factory is dataclasses.MISSING else f.default_factory()
            shown = "needed" if default is dataclasses.MISSING else f"`{default!r}`"
            yield f"| `{f.name}` | {cell(type_in_words(hints[f.name]))} | {cell(shown)} | {cell(said.get(f.name, ''))} |"


class AllSettings(FromCode):
    """The settings of every command and of every model."""

    def markdown(self) -> Iterable[str]:
        """A section each."""
        from cycseq.models import MODELS

        kinds = {
            "Reading (`cycseq inspect`, `prepare`, `evaluate`)": "cycseq.ReadSettings",
            "Preparing (`cycseq prepare`)": "cycseq.PrepareSettings",
            "Splitting (`cycseq split`)": "cycseq.SplitSettings",
            "Evaluating (`cycseq evaluate`, `benchmark`)": "cycseq.EvaluateSettings",
            "Benchmarking (`cycseq benchmark`)": "cycseq.BenchmarkSettings",
            "Tuning (`cycseq tune`)": "cycseq.TuneSettings",
            "Simulating (`cycseq simulate`)": "cycseq.SimulateSettings",
        }
        kinds |= {f"Model `{name}`": f"{module}.{name}" for name, module in MODELS.items()}
        for title, place in kinds.items():
            yield f"## {title}\n\n```{{settings}} {place}\n```\n"


class Models(FromCode):
    """All models with their first sentence."""

    def markdown(self) -> Iterable[str]:
        """A table."""
        from cycseq.models import MODELS, describe

        yield "| model | what it predicts |\n|---|---|"
        yield from (f"| `{name}` | {cell(describe(name))} |" for name in MODELS)


class Knowledge(FromCode):
    """The catalogue of knowledge."""

    def markdown(self) -> Iterable[str]:
        """A table."""
        from cycseq.knowledge.catalog import ROWS

        yield "| name | what it is | version | licence | publication |\n|---|---|---|---|---|"
        for row in ROWS:
            yield f"| `{row.name}` | {cell(row.what)} | {row.version} | {cell(row.licence)} | {cell(row.publication)} |"


class Splits(FromCode):
    """All kinds of split, with the claim that each states on simulated data."""

    def markdown(self) -> Iterable[str]:
        """A definition list."""
        from cycseq.simulation.generate import simulate
        from cycseq.simulation.settings import SimulateSettings
        from cycseq.split.make import make_splits
        from cycseq.split.settings import KINDS, SplitSettings

        cells = simulate(SimulateSettings(contexts=3, perturbations=6, doubles=8, cells=3000, genes=60))
        for kind, holds_out in KINDS.items():
            context = "Line1" if kind in {"unseen-context", "unseen-pair", "few-shot"} else None
            dose, time = ("100nM" if kind == "unseen-dose" else None), (24.0 if kind == "unseen-time" else None)
            data = dosed() if dose or time else cells
            claim = make_splits(data, SplitSettings(kind=kind, context=context, dose=dose, time=time))[0].claim
            yield f"`{kind}`\n:   Holds out {holds_out}.\n\n    > {claim}\n"


def dosed() -> Effects:
    """Effects of three drugs at three doses and two times, to state claims of."""
    import numpy as np

    from cycseq.data.condition import Condition, treatment_name
    from cycseq.data.effects import Effects

    doses, hours = ("10nM", "100nM", "1000nM"), (6.0, 24.0)
    conditions = [
        Condition("A549", treatment_name(f"drug{i}", d, t)) for i in range(1, 4) for d in doses for t in hours
    ]
    return Effects.from_arrays(np.ones((len(conditions), 2)), conditions, ["G1", "G2"], scale="log_fold_change")


class House(FromCode):
    """The floors of the house and their rooms, from the import contract."""

    def markdown(self) -> Iterable[str]:
        """A table, the lowest floor first."""
        yield "| floor | in `src/cycseq/` | holds |\n|---|---|---|"
        for number, floor in enumerate(floors()):
            for name, sentence in floor:
                yield f"| {number} | `{name}` | {cell(sentence)} |"


class Commands(FromCode):
    """The help of every command."""

    def markdown(self) -> Iterable[str]:
        """One section each."""
        from cycseq.commands import COMMANDS, run_command

        for name, does in COMMANDS.items():
            shown = io.StringIO()
            with contextlib.redirect_stdout(shown):
                run_command([name, "--help"])
            yield f"## cycseq {name}\n\n{does}\n\n```text\n{shown.getvalue()}```\n"


def cell(text: str) -> str:
    """Text that a Markdown table can hold."""
    return " ".join(text.replace("``", "`").replace("|", "\\|").split())


def inline_math(self: Any, node: nodes.math) -> None:
    """A formula in the line, as MathML."""
    self.body.append(tex2mathml(node.astext()))
    raise nodes.SkipNode


def block_math(self: Any, node: nodes.math_block) -> None:
    """A formula of its own, as MathML."""
    self.body.append(f'<div class="formula">{tex2mathml(node.astext(), as_block=True)}</div>')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the directives and the maths."""
    directives: dict[str, type[FromCode]] = {
        "metrics": Metrics,
        "settings": Settings,
        "all-settings": AllSettings,
        "models": Models,
        "knowledge": Knowledge,
        "splits": Splits,
        "commands": Commands,
        "house": House,
    }
    for name, directive in directives.items():
        app.add_directive(name, directive)
    app.add_html_math_renderer("mathml", (inline_math, None), (block_math, None))
    return {"parallel_read_safe": True}
