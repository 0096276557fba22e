"""Which conditions a page shows."""

from __future__ import annotations

from typing import Literal

Stratum = Literal["all", "reproducible"]
