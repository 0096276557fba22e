"""Do the tools themselves take the splits that `cycseq split --from` reads, and mean the same by them?

    pip install --no-deps --ignore-requires-python --target PEERS arc-pie==1.0.0 cell-load==0.10.4 cell-gears==0.1.2 toml==0.10.2
    python benchmarks/splits_of_peers.py --peers PEERS

PIE's and cell-load's own readers read a file each; GEARS' own splitter makes one. Nothing is trained, and torch_geometric is not needed.
"""

from __future__ import annotations

import argparse
import importlib
import json
import pickle
import sys
import tempfile
import types
from pathlib import Path

from cycseq.data.dataset import PerturbationData
from cycseq.formats.write import write_as
from cycseq.simulation.generate import simulate
from cycseq.simulation.settings import SimulateSettings
from cycseq.split.base import Split
from cycseq.split.peers.read import read_peer_split

TOML = """
[datasets]
screen = "."
[training]
screen = "train"
[zeroshot]
"screen.Line3" = "test"
[fewshot."screen.Line2"]
val = ["{0}"]
test = ["{1}", "{2}"]
"""


def package(peers: Path, *names: str) -> None:
    """Packages of a folder without running their ``__init__``, which imports networks."""
    sys.path.insert(0, str(peers))
    for name in names:
        module = types.ModuleType(name)
        module.__path__ = [str(peers.joinpath(*name.split(".")))]
        sys.modules[name] = module


def tested(split: Split) -> set[tuple[str, str]]:
    """Context and perturbation."""
    return {(c.context, c.perturbation) for c in split.test}


def pie(data: PerturbationData, folder: Path) -> bool:
    """PIE's reader takes the file, and lists the pairs that are tested here."""
    sys.modules["pie.data.preprocessed"] = types.SimpleNamespace(PreprocessedDir=object)
    reader = importlib.import_module("pie.data.splits")
    path = folder / "test.json"
    path.write_text(
        json.dumps({"screen.Line1": list(data.perturbations[:3]), "screen.Line2": list(data.perturbations[1:4])})
    )
    pairs = {(context, name) for _, context, name in reader.split_pairs(reader.load_split(path))}
    return pairs == tested(read_peer_split(path, data))


def cell_load(data: PerturbationData, folder: Path) -> bool:
    """cell-load's configuration takes the file, and means the same cell types and lists."""
    config = importlib.import_module("cell_load.config").ExperimentConfig
    path = folder / "split.toml"
    path.write_text(TOML.format(*data.perturbations[:3]))
    theirs = config.from_toml(str(path))
    theirs.validate()
    wanted = {(context, p) for context in theirs.get_zeroshot_celltypes("screen") for p in data.perturbations}
    wanted |= {(context, p) for context, lists in theirs.get_fewshot_celltypes("screen").items() for p in lists["test"]}
    split = read_peer_split(path, data)
    measured = {(c.context, c.perturbation) for c in data.conditions()}
    return wanted & measured == tested(split) and {c.context for c in split.validation} == {"Line2"}


def gears(data: PerturbationData, folder: Path) -> bool:
    """GEARS' splitter makes the lists of one context, pickled as GEARS pickles them."""
    graph, module = types.ModuleType("torch_geometric"), types.ModuleType("torch_geometric.data")
    module.Data = module.DataLoader = object
    sys.modules |= {"torch_geometric": graph, "torch_geometric.data": module}
    sys.modules["dcor"] = types.SimpleNamespace(distance_correlation=None)  # not used by the splitter
    splitter = importlib.import_module("gears.data_utils").DataSplitter
    one = data.subset(c for c in data.conditions() if c.context == "Line1")
    write_as(one, "gears", folder / "gears.h5ad")
    import anndata as ad

    made, _ = splitter(ad.read_h5ad(folder / "gears.h5ad"), split_type="simulation").split_data(seed=1)
    lists = {part: rows["condition"].unique().tolist() for part, rows in made.obs.groupby("split")}
    path = folder / "screen_simulation_1_0.75.pkl"
    path.write_bytes(pickle.dumps(lists))
    split = read_peer_split(path, one)
    sizes = [len(set(lists[part]) - {"ctrl"}) for part in ("train", "val", "test")]
    return sizes == [len(split.train), len(split.validation), len(split.test)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, required=True)
    peers = parser.parse_args().peers
    package(peers, "pie", "pie.data", "cell_load", "gears")
    data = simulate(SimulateSettings(cells=2000, genes=100, contexts=3, perturbations=16, doubles=6))
    with tempfile.TemporaryDirectory() as folder:
        for read in (pie, cell_load, gears):
            print(f"{read.__name__}: {'the same conditions' if read(data, Path(folder)) else 'OTHER CONDITIONS'}")


if __name__ == "__main__":
    main()
