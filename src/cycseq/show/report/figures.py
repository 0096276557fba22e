"""Figures as SVG that takes its colours from the page, so that they are as legible in the dark as in the light."""

import re
from collections.abc import Callable
from io import StringIO
from typing import Any

import matplotlib as mpl
from markupsafe import Markup, escape
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from cycseq.show import plots

COLOURS = {
    plots.INK: "var(--ink)",
    plots.MUTED: "var(--muted)",
    plots.LINE: "var(--line)",
    plots.BLUE: "var(--blue)",
    plots.ORANGE: "var(--orange)",
    plots.GREEN: "var(--green)",
    plots.VERMILION: "var(--vermilion)",
}


def svg(draw: Callable[[Axes], object], *, title: str, width: float = 4.4, height: float = 3.2) -> Markup:
    """What `draw` draws into axes of this size (inches), as inline SVG."""
    return as_svg(draw_figure(draw, width=width, height=height), title=title)


def draw_figure(draw: Callable[[Axes], object], *, width: float, height: float) -> Figure:
    """A figure of this size (inches) with what `draw` draws into its axes.

    Labels are text as they stand: a ``$`` in a name starts no formula.
    """
    settings: Any = {"text.parse_math": False}
    with mpl.rc_context(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasSVG(figure)
        draw(figure.add_subplot())
    return figure


def as_svg(figure: Figure, *, title: str) -> Markup:
    """The figure as inline SVG; nothing in a name is read as markup."""
    settings: Any = {"svg.fonttype": "none", "svg.hashsalt": title, "text.parse_math": False, "savefig.dpi": 170}
    with mpl.rc_context(settings):
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _inline(text.getvalue(), title)


def _inline(text: str, title: str) -> Markup:
    """The `svg` element alone, with the page's colours and font, a name for screen readers, and no needless ids."""
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.S)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    text = re.sub(r' id="([^"]*)"', lambda m: m[0] if m[1] in used else "", text)
    text = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", text)
    for colour, variable in COLOURS.items():
        text = text.replace(colour, variable)
    return Markup(text.replace("<svg", f'<svg role="img" aria-label="{escape(title)}"', 1))
