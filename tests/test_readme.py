"""What the README shows runs as it stands there."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import anndata as ad
import pytest

from conftest import make_counts
from cycseq.cli import SUCCESS, main
from cycseq.commands import COMMANDS

pytestmark = pytest.mark.usefixtures("empty_figures")

README = (Path(__file__).parents[1] / "README.md").read_text()
SESSION = re.search(r"### One model, step by step\n+```sh\n(.*?)```", README, re.DOTALL)


def test_the_map_of_the_readme_is_made_from_the_code() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "docs"))
    from house_map import readme_lines

    assert "\n".join(readme_lines()) in README


@pytest.fixture
def kang(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small file with the labels of the README's example, in the current folder."""
    counts = make_counts(contexts=("B", "NK", "CD4 T"), perturbations=("ctrl", "stim"), genes=60)
    monkeypatch.chdir(tmp_path)
    counts.write_h5ad("kang2018.h5ad")
    return tmp_path


def test_the_python_of_the_readme(kang, capsys):
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    exec(compile(code, "README.md", "exec"), {})
    assert "pearson_delta" in capsys.readouterr().out


def test_the_session_of_the_readme(kang):
    assert main(shlex.split("prepare kang2018.h5ad --genes all --out kang.h5ad")) == SUCCESS
    assert SESSION is not None
    for line in SESSION[1].strip().splitlines():
        assert main(shlex.split(line, comments=True)[1:]) == SUCCESS, line
    assert ad.read_h5ad("nk_pred.h5ad").n_obs == 500
    assert Path("nk_metrics.csv").exists()


def test_every_command_is_in_the_readme_or_in_help():
    commands = re.findall(r"^cycseq [a-z].*$", README.replace("\\\n", " "), re.MULTILINE)
    shown = {shlex.split(line, comments=True)[1] for line in commands}
    assert shown <= set(COMMANDS)
