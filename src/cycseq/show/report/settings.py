"""Which conditions a page shows."""

from typing import Literal

Stratum = Literal["all", "reproducible"]
