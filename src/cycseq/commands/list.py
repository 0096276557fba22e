"""`cycseq list models|metrics|splits|worlds|layouts`."""

from __future__ import annotations

from argparse import Namespace
from typing import Literal

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import table

Kind = Literal["models", "metrics", "splits", "worlds", "layouts"]


def configure(parser: Parser, _words: list[str]) -> None:
    """Add the options of this command."""
    parser.add_argument("kind", type=Kind, help="What to list.")


def run(options: Namespace) -> None:
    """Print the table of one kind."""
    tables = {"models": _models, "metrics": _metrics, "splits": _splits, "worlds": _worlds, "layouts": _layouts}
    tables[options.kind]()


def _models() -> None:
    from cycseq.models import MODELS, describe

    table(("model", "what it predicts"), [(name, describe(name)) for name in MODELS])


def _metrics() -> None:
    from cycseq.score.metrics import METRICS
    from cycseq.score.metrics.integration import INTEGRATION
    from cycseq.score.metrics.pairs import PAIR_METRICS

    rows = [(m.name, f"{m.best:g}", m.formula, m.caution) for m in METRICS.values()]
    rows += [(name, "-", formula, "evaluate --pairs, on simulated data") for name, formula in PAIR_METRICS.items()]
    rows += [
        (name, "1", formula, "embed --score; read mixing and keeping together") for name, formula in INTEGRATION.items()
    ]
    table(("metric", "best", "formula", "read it with care"), rows)


def _splits() -> None:
    from cycseq.split.settings import KINDS

    table(("split", "what it holds out"), KINDS.items())


def _worlds() -> None:
    from cycseq.simulation.settings import WORLDS

    table(("world", "settings"), [(name, ", ".join(f"{k}={v}" for k, v in s.items())) for name, s in WORLDS.items()])


def _layouts() -> None:
    from cycseq.formats.writers import LAYOUTS
    from cycseq.formats.writers.vcc import WHAT

    table(("layout", "what it is"), [*((layout.name, layout.what) for layout in LAYOUTS.values()), ("vcc", WHAT)])
