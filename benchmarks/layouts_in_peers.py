"""Do the tools themselves take what `cycseq convert` writes? Their own code is run on simulated data.

    pip install --no-deps --target PEERS cell-gears==0.1.2 cell-load==0.10.4 scperturb==0.1.0 toml==0.10.2 dcor==0.7
    python benchmarks/layouts_in_peers.py --peers PEERS

needs scanpy and torch beside cycseq. GEARS' networks are not run: its preparation and its splitter are, without
torch_geometric. cell-eval and scanpy are run by tests/test_peers.py.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import types
from pathlib import Path

import anndata as ad
import numpy as np

from cycseq.formats.write import write_as
from cycseq.preparation.prepare import as_log1p
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings


def gears(path: Path, peers: Path) -> dict[str, object]:
    """GEARS' own columns, DE genes and simulation split."""
    graph, data = types.ModuleType("torch_geometric"), types.ModuleType("torch_geometric.data")
    data.Data = data.DataLoader = object
    sys.modules |= {"torch_geometric": graph, "torch_geometric.data": data}
    package = types.ModuleType("gears")
    package.__path__ = [str(peers / "gears")]
    sys.modules["gears"] = package
    from gears.data_utils import DataSplitter, get_DE_genes, get_dropout_non_zero_genes

    ours = ad.read_h5ad(path)
    theirs = get_dropout_non_zero_genes(get_DE_genes(ours.copy(), skip_calc_de=False))
    columns = ("dose_val", "control", "condition_name")
    same = {c: bool((theirs.obs[c].astype(str) == ours.obs[c].astype(str)).all()) for c in columns}
    split, _ = DataSplitter(theirs, split_type="simulation").split_data(seed=1)
    return {"its columns are ours": same, "cells by part": split.obs["split"].value_counts().to_dict()}


def cell_load(path: Path) -> dict[str, object]:
    """One batch of cell-load's data module, with Line4 held out."""
    from cell_load.data_modules import PerturbationDataModule

    config = path.parent / "config.toml"
    config.write_text(
        f'[datasets]\nscreen = "{path.parent}"\n[training]\nscreen = "train"\n[zeroshot]\n"screen.Line4" = "test"\n'
    )
    module = PerturbationDataModule(
        toml_config_path=str(config),
        embed_key=None,
        num_workers=0,
        batch_col="gem_group",
        pert_col="gene",
        cell_type_key="cell_type",
        control_pert="non-targeting",
        output_space="all",
        batch_size=8,
    )
    module.setup()
    batch = next(iter(module.train_dataloader()))
    return {
        "cells x genes of a batch": list(batch["pert_cell_emb"].shape),
        "perturbations": len(module.pert_onehot_map),
        "cell types": sorted(map(str, module.cell_type_onehot_map)),
        "batches": sorted(map(str, module.batch_onehot_map)),
    }


def scperturb(path: Path) -> dict[str, float]:
    """E-distances to control."""
    import scanpy as sc
    from scperturb import edist

    adata = ad.read_h5ad(path)
    sc.pp.normalize_total(adata)
    sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=10)
    distances = edist(adata, obs_key="perturbation", verbose=False).loc["control"]
    return {str(name): round(float(value), 2) for name, value in distances.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True, help="folder of the packages named above")
    options = parser.parse_args()
    sys.path.append(str(options.peers))
    counts = simulate(SimulateSettings(contexts=4, perturbations=8, doubles=3, cells=3000, genes=300))
    logged = as_log1p(counts)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = logged.subset(c for c in logged.conditions() if c.context == "Line4")
        write_as(one, "gears", folder / "gears.h5ad")
        write_as(counts, "scperturb", folder / "scperturb.h5ad")
        write_as(logged, "cell-load", folder / "screen" / "screen.h5ad")
        found = {
            "gears": gears(folder / "gears.h5ad", options.peers),
            "cell-load": cell_load(folder / "screen" / "screen.h5ad"),
            "scperturb": scperturb(folder / "scperturb.h5ad"),
        }
    print(json.dumps(found, indent=1, default=np.ndarray.tolist))


if __name__ == "__main__":
    main()
