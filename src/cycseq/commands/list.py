"""`cycseq list models|metrics|splits|worlds|layouts`."""

from argparse import Namespace
from typing import Literal

from cycseq.commands.parser import Parser
from cycseq.commands.terminal import table

Kind = Literal["models", "metrics", "splits", "worlds", "layouts"]


def configure(parser: Parser, _words: list[str]) -> None:
    parser.add_argument("kind", type=Kind, help="What to list.")


def run(options: Namespace) -> None:
    """Print the table of one kind."""
    if options.kind == "models":
        from cycseq.models import MODELS, describe

        table(("model", "what it predicts"), [(name, describe(name)) for name in MODELS])
    elif options.kind == "metrics":
        from cycseq.score.metrics import METRICS
        from cycseq.score.metrics.integration import INTEGRATION
        from cycseq.score.metrics.pairs import PAIR_METRICS

        on_pairs, of_spaces = "evaluate --pairs, on simulated data", "embed --score; read mixing and keeping together"
        rows = [(m.name, f"{m.best:g}", m.formula, m.caution) for m in METRICS.values()]
        rows += [(name, "-", formula, on_pairs) for name, formula in PAIR_METRICS.items()]
        rows += [(name, "1", formula, of_spaces) for name, formula in INTEGRATION.items()]
        table(("metric", "best", "formula", "read it with care"), rows)
    elif options.kind == "splits":
        from cycseq.split.settings import KINDS

        table(("split", "what it holds out"), KINDS.items())
    elif options.kind == "worlds":
        from cycseq.simulation.settings import WORLDS

        worlds = [(name, ", ".join(f"{k}={v}" for k, v in settings.items())) for name, settings in WORLDS.items()]
        table(("world", "settings"), worlds)
    else:
        from cycseq.formats.writers import LAYOUTS
        from cycseq.formats.writers.vcc import WHAT

        table(("layout", "what it is"), [*((layout.name, layout.what) for layout in LAYOUTS.values()), ("vcc", WHAT)])
