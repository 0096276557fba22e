"""What a `--config` file says, as one value for each option."""

from pathlib import Path
from typing import Any

from cycseq.errors import SettingsError, unknown_name
from cycseq.io.special_files import refuse_special
from cycseq.io.untrusted import parse_yaml


def flat_config(config: str) -> dict[str, Any]:
    """A `--config` file as one value for each option; a model with its settings becomes ``model`` and ``model.SETTING``.

    Raises `SettingsError` if the file cannot be read, is not a mapping, is empty, or has a key that stands for nothing.
    """
    path = Path(config)
    try:
        content = parse_yaml(refuse_special(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        msg = f"--config {config[:200]} cannot be read ({err}): give a YAML file with options of this command."
        raise SettingsError(msg) from err
    if not isinstance(content, dict) or not content:
        kind = "nothing" if content in (None, {}) else f"a {type(content).__name__}"
        msg = f"--config {config} holds {kind}: give a YAML file with options of this command, one per line (seed: 1)."
        raise SettingsError(msg)
    if "config" in content:
        raise SettingsError(f"--config {config} names another config: use --config for each of them.")
    values = {str(name).replace("-", "_") if "." not in str(name) else str(name): v for name, v in content.items()}
    model = values.pop("model", None)
    if isinstance(model, dict):
        allowed = ("class_path", "init_args")
        for key in model:
            if key not in allowed:
                raise unknown_name(str(key), f"key of model in {config}", allowed)
        settings = model.get("init_args") or {}
        if not isinstance(settings, dict):
            raise SettingsError(f"init_args of the model in {config} is {settings!r}, but must hold settings by name.")
        values |= {f"model.{name}": value for name, value in settings.items()}
        model = model.get("class_path")
    if model is not None:
        values["model"] = model
    return values
