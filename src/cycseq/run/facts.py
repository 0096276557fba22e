"""The files of a run folder by name, and what its two records say: what was asked, and with what it was done."""

import json
from hashlib import blake2b
from pathlib import Path
from typing import Any

from cycseq.errors import FileError
from cycseq.io.untrusted import parse_json, read_json, wrong_kinds

RUN, SPLIT, ENVIRONMENT, MODEL = "run.json", "split.json", "environment.json", "model"
HISTORY, METRICS, PREDICTIONS = "history.csv", "metrics.csv", "predictions"
ASKED = {"data": dict, "model": str, "settings": dict, "seed": int}
"""What a result depends on besides split and environment: all of it stands in `run.json`."""
FIT_AGAIN = "Fit the model again with cycseq fit --overwrite true."


def read_facts(folder: Path) -> dict[str, Any]:
    """What a run's `run.json` says; raises `FileError` if the folder is not a run, or its record is damaged."""
    path = folder / RUN
    if not path.is_file():
        raise FileError(f"{folder} is not a run: it has no {RUN}. Name the folder that cycseq fit --run wrote.")
    facts = read_json(path, FIT_AGAIN)
    lacking = wrong_kinds(facts, ASKED) or wrong_kinds(facts["data"], {"path": str | None, "hash": str})
    if lacking:
        raise FileError(f"{path} is damaged: it does not say {', '.join(lacking)}. {FIT_AGAIN}")
    if digest_of(facts) != read_environment(folder).get("hashes", {}).get("settings", digest_of(facts)):
        raise FileError(
            f"{path} was altered: it no longer says what the model was fitted with. Restore the original, or fit "
            "the model again with cycseq fit --overwrite true."
        )
    return facts


def changed_settings(record: Path, settings: dict[str, Any]) -> list[str]:
    """The settings in which a benchmark or a search was begun otherwise; all of them where its record is damaged."""
    try:
        before = dict(parse_json(record.read_text(encoding="utf-8"))["asked"])
    except (ValueError, KeyError, TypeError):
        before = {}
    return [name for name in settings if before.get(name) != settings[name]]


def read_environment(folder: Path) -> dict[str, Any]:
    """What `environment.json` says; nothing of a run of an older version, which has none."""
    path = folder / ENVIRONMENT
    return read_json(path, FIT_AGAIN) if path.is_file() else {}


def digest_of(facts: dict[str, Any]) -> str:
    """A hash of what was asked."""
    return blake2b(json.dumps([facts[name] for name in ASKED], sort_keys=True).encode(), digest_size=8).hexdigest()
