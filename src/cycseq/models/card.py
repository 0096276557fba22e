"""The card of a saved model: what it is, what it was trained on, what it may be asked, in words."""

from collections.abc import Mapping
from typing import Any

from cycseq.errors import count_of, join_names

CARD = "README.md"
SHOWN = 40  # names of a list before the rest is counted


def model_card(description: Mapping[str, Any], about: str) -> str:
    """The card as Markdown, from the JSON half of the saved model and the docstring of its class."""
    facts = description["facts"]
    sections = {
        "Trained on": _trained_on(description, facts),
        "What a good score on its test conditions would show": [
            facts.get("claim", "Not known: it was saved without a split.")
        ],
        **_knowledge(facts),
        "Settings": [
            "| setting | value |",
            "|---|---|",
            *(f"| `{name}` | `{value}` |" for name, value in description["settings"].items()),
        ],
        "Limits": _limits(description, facts),
        "Use": [
            "```python\nfrom pathlib import Path\n",
            "from cycseq.models import load_model\n",
            'model = load_model(Path("THIS FOLDER"))',
            "predicted = model.predict(controls, conditions)  # control cells in, predicted cells out\n```",
        ],
        "Versions": [", ".join(f"{name} {number}" for name, number in description["versions"].items()) + "."],
    }
    body = "\n\n".join(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items())
    return f"# {description['model']}\n\n{about}\n\n{body}\n"


def _trained_on(description: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    lines = [
        f"- contexts with perturbed cells: {join_names(description['contexts'], SHOWN) or 'none'}",
        f"- perturbations: {join_names(description['perturbations'], SHOWN) or 'none'}",
        f"- genes: {len(description['genes']):,}, in the order of `model.json`",
        f"- scale of the values: {description['scale']}"
        + (" (natural logarithm of 1 + counts per 10,000)" if description["scale"] == "log1p" else ""),
    ]
    lines += [
        f"- {label}: `{facts[name]}`"
        for name, label in (("split", "split"), ("data_hash", "hash of the data"))
        if name in facts
    ]
    return lines


def _knowledge(facts: Mapping[str, Any]) -> dict[str, list[str]]:
    """A section on the sources of knowledge that the model holds, where it holds some."""
    stored = [{"name": row["name"], **row["facts"]} for row in facts.get("knowledge", ())]
    shown = [", ".join(f"{key} {value}" for key, value in row.items()) for row in (*facts.get("sources", ()), *stored)]
    return {"Knowledge that it holds": [f"- {row}" for row in shown]} if shown else {}


def _limits(description: Mapping[str, Any], facts: Mapping[str, Any]) -> list[str]:
    limits = [
        "- It takes control cells of every context that it is asked for, with these genes and on this scale.",
        "- What it cannot know it refuses by name; what it knows of is listed above.",
        f"- It has seen {count_of(len(description['contexts']), 'context')} with perturbed cells; other doses, times, protocols and "
        "species than those of its data are beyond what any score here can show.",
        "- Its scores are not part of this folder. A score means little without baselines and ceiling: `cycseq benchmark`.",
    ]
    if "broken" in facts:
        limits.insert(0, f"- **Its training broke off, and this is the last good state:** {facts['broken']}")
    return limits
