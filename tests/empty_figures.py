"""Pages with empty figures, for tests that look at none: drawing them takes longer than a small benchmark."""

from __future__ import annotations

from contextlib import AbstractContextManager
from unittest import mock

from markupsafe import Markup


def draw_nothing() -> AbstractContextManager[object]:
    """While it lasts, every figure of a page is empty."""
    return mock.patch.multiple(
        "cycseq.show.report.figures",
        draw_figure=lambda *_, **__: None,
        as_svg=lambda *_, **__: Markup("<svg></svg>"),
    )
