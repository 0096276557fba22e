"""The pages for users of other tools: what they show runs as it stands there."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest

from cycseq.cli import SUCCESS, main
from cycseq.formats.writers import LAYOUTS

pytestmark = pytest.mark.usefixtures("empty_figures")

PAGES = sorted((Path(__file__).parents[1] / "docs" / "coming_from").glob("*.md"))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run(page: Path, namespace: dict[str, object]) -> None:
    for language, text in BLOCK.findall(page.read_text()):
        if language == "python":
            exec(compile(text, page.name, "exec"), namespace)
            continue
        for line in text.strip().splitlines():
            program, *words = shlex.split(line, comments=True)
            assert program == "cycseq"
            assert main(words) == SUCCESS, line


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The session that the first page makes, with stand-ins for what other tools write."""
    folder = tmp_path_factory.mktemp("session")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(next(page for page in PAGES if page.name == "index.md"), {})
        predicted, prepared = ad.read_h5ad("predicted.h5ad"), ad.read_h5ad("prepared.h5ad")
        labels = {"gene": predicted.obs["perturbation"].astype(str), "cell_type": predicted.obs["context"].astype(str)}
        obs = pd.DataFrame(labels).reset_index(drop=True).rename(index=str)
        ad.AnnData(np.asarray(predicted.X), obs=obs).write_h5ad("adata_pred.h5ad")
        real = prepared[prepared.obs["context"] == "Line4"]
        labels = {
            "gene": real.obs["perturbation"].astype(str).replace("control", "non-targeting"),
            "cell_type": "Line4",
        }
        obs = pd.DataFrame(labels).reset_index(drop=True).rename(index=str)
        ad.AnnData(real.X, obs=obs).write_h5ad("adata_real.h5ad")
        tested = predicted.obs[["context", "perturbation"]].drop_duplicates()
        tested.set_axis(["cell_type", "sm_name"], axis=1).iloc[::-1].to_csv("id_map.csv", index_label="id")
        Path("genes.txt").write_text("\n".join(predicted.var_names))
        cpa = real[real.obs["perturbation"] != "control"].copy()
        cpa.obsm["CPA_pred"] = 0.9 * cpa.X.toarray()  # the cells themselves would be refused
        del cpa.uns["cycseq"]
        cpa.write_h5ad("cpa_pred.h5ad")
    yield folder
    shutil.rmtree(folder)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "index.md"], ids=lambda page: page.stem)
def test_what_a_page_shows_runs(page: Path, session: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "import scanpy" in page.read_text():
        pytest.importorskip("scanpy")
        pytest.importorskip("matplotlib").use("Agg")
    monkeypatch.chdir(session)
    predicted = ad.read_h5ad("predicted.h5ad")
    doubles = [name for name in predicted.obs["perturbation"].cat.categories if "+" in name]
    one = predicted[predicted.obs["perturbation"] == "G0064"].copy()
    one = ad.AnnData(one.X, obs=pd.DataFrame({"label": "ctrl"}, index=one.obs_names), var=one.var)
    counts = ad.read_h5ad("cpa_pred.h5ad")
    counts.obsm["CPA_pred"] = np.expm1(counts.obsm["CPA_pred"]) / 7
    run(
        page,
        {
            "predictions": {name.replace("+", "_"): np.asarray(predicted.X).mean(axis=0) for name in doubles},
            "gene_names": list(predicted.var_names),
            "predicted_adata": one,
            "counts_adata": counts,
        },
    )


def test_every_layout_is_on_the_first_page() -> None:
    text = next(page for page in PAGES if page.name == "index.md").read_text()
    assert all(f"`{name}`" in text for name in LAYOUTS)
    assert all(f"]({page.name})" in text for page in PAGES if page.name != "index.md")
