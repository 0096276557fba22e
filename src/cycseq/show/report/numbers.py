"""Numbers as people read them."""

import math

from markupsafe import Markup


def short(value: float | None, digits: int = 3) -> str:
    """``0.123``, ``12.3``, ``1,234``; a dash for what is undefined."""
    if value is None or not math.isfinite(value):
        return "\u2013"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if 0 < size < 0.001:
        return f"{value:.1e}".replace("e-0", "e-").replace("-", "\u2212")
    decimals = digits if round(size, digits) < 1 else max(0, digits - 1 - math.floor(math.log10(round(size, digits))))
    text = f"{value:.{decimals}f}"
    return text.replace("-", "\u2212")


def interval(low: float, high: float) -> str:
    """``0.71 to 0.93``; empty where there is none."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return ""
    return f"{short(low)} to {short(high)}"


def listed(words: list[str], shown: int = 8) -> str:
    """``A, B and C``; long lists end with how many there are."""
    if len(words) > shown:
        return f"{', '.join(words[:shown])}, ... ({len(words)} in all)"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 2 else words)


def clipped(name: str, most: int = 26) -> str:
    """The name, its end cut off where a figure has no room for it."""
    return name if len(name) <= most else f"{name[: most - 1]}\u2026"


def breakable(name: str) -> Markup:
    """The name with places where a narrow column may break it."""
    return Markup("_<wbr>").join(name.split("_"))
