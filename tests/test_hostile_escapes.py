"""Files that lead to what is not theirs, by any way that HDF5 and zarr have: none is followed, each is refused in a line."""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.cli import BAD_INPUT, main
from cycseq.formats.read import read

SECRET = b"root:x:0:0:root:/root:/bin/bash\n"
OPEN: list[Any] = []
OBS = pd.DataFrame({"perturbation": ["control", "G1"] * 3, "batch": ["a", "b"] * 3}, index=[f"c{i}" for i in range(6)])


def small() -> ad.AnnData:
    counts = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
    return ad.AnnData(sp.csr_matrix(counts), obs=OBS.copy(), var=pd.DataFrame(index=["G1", "G2", "G3"]))


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    (tmp_path / "secret").write_bytes(SECRET)
    return tmp_path / "secret"


@pytest.fixture
def h5ad(tmp_path: Path) -> Path:
    small().write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    def inspect(path: Path) -> str:
        """What `cycseq prepare` says of a file: one line, exit code 2, nothing of the secret."""
        assert main(["prepare", str(path), "--genes", "all", "--out", str(path.with_name("out.h5ad"))]) == BAD_INPUT
        out, err = capsys.readouterr()
        assert err.count("\n") == 1
        assert "Traceback" not in err
        assert "root:x" not in out + err
        assert not path.with_name("out.h5ad").exists()
        return err

    return inspect


def unlinked(file: h5py.File, secret: Path) -> h5py.Dataset:
    """An array whose values are another file, in a group without a name; see `left_open`."""
    OPEN.append(file.create_group(None))
    kind = f"S{len(SECRET)}"
    OPEN.append(OPEN[-1].create_dataset("values", (1,), kind, external=[(str(secret), 0, len(SECRET))]))
    return OPEN[-1]


def left_open(path: Path, change: Callable[[h5py.File, Path], None], secret: Path) -> None:
    """Change a file, and leave it as a process does that never closes it: HDF5 would clear away what has no name."""
    with h5py.File(path, "r+") as file:
        change(file, secret)
        file.flush()
        whole = path.read_bytes()
        OPEN.clear()
    path.write_bytes(whole)


def legacy(file: h5py.File, reference: Any) -> None:
    """Batches as anndata 0.7 wrote them: codes, with a reference to their categories."""
    del file["obs/batch"]
    file["obs/batch"] = np.zeros(6, dtype=np.int8)
    file["obs/batch"].attrs["categories"] = reference
    file["obs"].attrs["encoding-version"] = "0.1.0"


def test_the_categories_of_old_files_are_read_where_they_have_a_name(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["obs/__categories/batch"] = np.array(["first", "second"], dtype=object)
        legacy(file, file["obs/__categories/batch"].ref)
    assert set(read(h5ad).adata.obs["batch"]) == {"first"}


def by_categories(file: h5py.File, secret: Path) -> None:
    legacy(file, unlinked(file, secret).ref)


def by_index(file: h5py.File, secret: Path) -> None:
    file["obs"].attrs["_index"] = unlinked(file, secret).ref


def by_column_order(file: h5py.File, secret: Path) -> None:
    file["obs"].attrs.create("column-order", [unlinked(file, secret).ref], dtype=h5py.ref_dtype)


def by_region(file: h5py.File, secret: Path) -> None:
    legacy(file, unlinked(file, secret).regionref[:])


def by_attribute_of_a_type(file: h5py.File, secret: Path) -> None:
    file["uns/kind"] = np.dtype("f4")
    file["uns/kind"].attrs["categories"] = unlinked(file, secret).ref


def by_values(file: h5py.File, secret: Path) -> None:
    file["uns"].create_dataset("x", data=[unlinked(file, secret).ref], dtype=h5py.ref_dtype)


def by_regions_as_values(file: h5py.File, secret: Path) -> None:
    file["uns"].create_dataset("x", data=[unlinked(file, secret).regionref[:]], dtype=h5py.regionref_dtype)


def by_values_in_rows(file: h5py.File, secret: Path) -> None:
    kind = np.dtype([("n", "i4"), ("r", h5py.ref_dtype)])
    file["uns"].create_dataset("x", data=np.array([(1, unlinked(file, secret).ref)], dtype=kind))


def by_values_in_lists(file: h5py.File, secret: Path) -> None:
    x = file["uns"].create_dataset("x", (1,), h5py.vlen_dtype(h5py.ref_dtype))
    x[0] = np.array([unlinked(file, secret).ref], dtype=h5py.ref_dtype)


def by_scales(file: h5py.File, secret: Path) -> None:
    """Scales of dimensions are lists of references in attributes."""
    file["uns/x"] = np.zeros(1)
    scale = unlinked(file, secret)
    scale.make_scale("cells")
    file["uns/x"].dims[0].attach_scale(scale)


def by_external_values(file: h5py.File, secret: Path) -> None:
    file["uns"].create_dataset("x", (32,), "u1", external=[(str(secret), 0, 32)])


def by_virtual_values(file: h5py.File, secret: Path) -> None:
    with h5py.File(secret.with_name("other.h5"), "w") as other:
        other["x"] = np.zeros((6, 3), dtype="f4")
    layout = h5py.VirtualLayout((6, 3), "f4")
    layout[:] = h5py.VirtualSource(secret.with_name("other.h5"), "x", (6, 3))
    file["uns"].create_virtual_dataset("x", layout)


def by_virtual_files_without_end(file: h5py.File, secret: Path) -> None:
    """The shape depends on how many files of these names there are."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    place, source = h5py.h5s.create_simple((1, 3), (h5py.h5s.UNLIMITED, 3)), h5py.h5s.create_simple((1, 3))
    place.select_hyperslab((0, 0), (h5py.h5s.UNLIMITED, 1), block=(1, 3))
    plan.set_virtual(place, str(secret.with_name("%b.h5")).encode(), b"x", source)
    h5py.h5d.create(file["uns"].id, b"x", h5py.h5t.NATIVE_FLOAT, place, plan)


def by_link(file: h5py.File, secret: Path) -> None:
    with h5py.File(secret.with_name("other.h5"), "w") as other:
        other["x"] = np.zeros(3)
    file["uns/x"] = h5py.ExternalLink(str(secret.with_name("other.h5")), "/x")


def by_link_to_a_link(file: h5py.File, secret: Path) -> None:
    by_link(file, secret)
    file["uns/y"] = h5py.SoftLink("/uns/x")


def by_link_in_place_of_obs(file: h5py.File, secret: Path) -> None:
    pipe = secret.with_name("pipe")
    os.mkfifo(pipe)
    del file["obs"]
    file["obs"] = h5py.ExternalLink(str(pipe), "/x")


def by_circle(file: h5py.File, secret: Path) -> None:
    file["uns/again"] = file["uns"]


def by_soft_circle(file: h5py.File, secret: Path) -> None:
    file["uns/again"] = h5py.SoftLink("/")


def by_unknown_filter(file: h5py.File, secret: Path) -> None:
    """HDF5 would load a library of this number from where HDF5_PLUGIN_PATH says."""
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_chunk((4,))
    plan.set_filter(32042, h5py.h5z.FLAG_OPTIONAL, (1,))
    h5py.h5d.create(file["uns"].id, b"x", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((4,)), plan)


REFUSED = {
    by_categories: "an attribute of 'batch' leads to what has no name",
    by_index: "an attribute of 'obs' leads to what has no name",
    by_column_order: "an attribute of 'obs' leads to what has no name",
    by_region: "the attribute 'categories' of 'batch' holds references of a kind that is not read",
    by_attribute_of_a_type: "an attribute of 'kind' leads to what has no name",
    by_values: "'x' holds references instead of values",
    by_regions_as_values: "'x' holds references instead of values",
    by_values_in_rows: "'x' holds references instead of values",
    by_values_in_lists: "'x' holds references instead of values",
    by_scales: "the attribute 'DIMENSION_LIST' of 'x' holds references of a kind that is not read",
    by_external_values: "the values of 'x' lie in another file",
    by_virtual_values: "the values of 'x' lie in another file",
    by_virtual_files_without_end: "the values of 'x' lie in another file",
    by_link: "'x' is a link to another file",
    by_link_to_a_link: "'x' is a link to another file",
    by_link_in_place_of_obs: "'obs' is a link to another file",
    by_circle: "lie inside each other",
    by_soft_circle: "lie inside each other",
    by_unknown_filter: "'x' is packed by filter 32042",
}


@pytest.mark.parametrize("way", REFUSED)
def test_hdf5_that_leads_elsewhere(way: Callable[[h5py.File, Path], None], h5ad: Path, secret: Path, said: Any) -> None:
    left_open(h5ad, way, secret)
    assert REFUSED[way] in said(h5ad)


@pytest.mark.parametrize("name", ["a.h5", "a.hdf5"])
def test_hdf5_of_no_known_kind_is_not_followed_to_tell_its_kind(name: str, tmp_path: Path, said: Any) -> None:
    """A link to a pipe would never be opened."""
    os.mkfifo(tmp_path / "pipe")
    with h5py.File(tmp_path / name, "w") as file:
        file["obs"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
        file["var"] = h5py.ExternalLink(str(tmp_path / "pipe"), "/x")
    assert "is a file of unknown kind" in said(tmp_path / name)


# zarr


@pytest.fixture(params=[2, 3])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with warnings.catch_warnings(), ad.settings.override(zarr_write_format=request.param):
        warnings.simplefilter("ignore")
        small().write_zarr(tmp_path / "a.zarr")
    (tmp_path / "a.zarr/.zmetadata").unlink(missing_ok=True)
    assert read(tmp_path / "a.zarr").n_cells == 6
    return tmp_path / "a.zarr"


def record_of(array: Path) -> Path:
    return next(path for name in (".zarray", "zarr.json") if (path := array / name).exists())


def rewrite(array: Path, **changes: Any) -> None:
    record_of(array).write_text(json.dumps(json.loads(record_of(array).read_text()) | changes))


def test_zarr_chunks_that_are_links(store: Path, secret: Path, said: Any) -> None:
    chunk = next(file for file in (store / "X/data").rglob("*") if file.is_file() and file.name in {"0", "c"})
    chunk.unlink()
    chunk.symlink_to(secret)
    assert f"{chunk.relative_to(store)} leads out of it" in said(store)


def test_zarr_groups_that_are_links(store: Path, tmp_path: Path, said: Any) -> None:
    shutil.move(store / "obs", tmp_path / "elsewhere")
    (store / "obs").symlink_to(tmp_path / "elsewhere")
    assert "obs leads out of it" in said(store)
    (store / "obs").unlink()
    shutil.move(tmp_path / "elsewhere", store / "uns" / "obs")
    (store / "obs").symlink_to(Path("uns") / "obs")
    assert read(store).n_cells == 6


def test_zarr_folders_of_chunks_that_are_links(store: Path, said: Any) -> None:
    """What lies behind them is read, and was not looked at."""
    chunks = next(folder for name in ("0", "c") if (folder := store / "X/data" / name).exists())
    if chunks.is_dir():
        shutil.move(chunks, store / "hidden")
    else:
        rewrite(store / "X/data", dimension_separator="/", shape=[6, 3], chunks=[6, 3])
        (store / "hidden").mkdir()
        shutil.move(chunks, store / "hidden/0")
    chunks.symlink_to("../../hidden")
    assert f"{chunks.relative_to(store)} is a link in place of chunks" in said(store)


def test_zarr_categories_that_are_named_by_what_is_said_in_one_place(store: Path, said: Any) -> None:
    """anndata opens a store anew for categories of old versions; there, a codec that unpickles was found before it was looked for."""
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shutil.rmtree(store / "obs/batch")
        group = zarr.open_group(store, mode="a", use_consolidated=False)
        group["obs"].attrs["encoding-version"] = "0.1.0"
        codes = group["obs"].create_array("batch", data=np.zeros(6, dtype="i1"))
        codes.attrs["categories"] = "__categories/batch"
        names = group["obs"].create_array("__categories/batch", data=np.array([7, 8]))
        names.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        old = (store / ".zgroup").exists()
        if old:
            assert set(read(store).adata.obs["batch"]) == {"7"}
        zarr.consolidate_metadata(store)
    if old:
        (store / "obs/__categories/batch/.zarray").unlink()
    assert "'batch' names its categories as old versions did, and the store has consolidated metadata" in said(store)


def test_zarr_with_pipes(store: Path, said: Any) -> None:
    os.mkfifo(store / "X/data/1")
    assert "X/data/1 is not a file of data" in said(store)


@pytest.mark.parametrize("name", ["crc32c", "msgpack2", "json2", "numcodecs.pickle", "no-such-codec", "lzma", "bz2"])
def test_zarr_codecs_of_any_name(store: Path, name: str, said: Any) -> None:
    """zarr looks for them among all packages that are installed."""
    old = record_of(store / "X/data").name == ".zarray"
    if name == "crc32c" and not old:
        pytest.skip("one of format 3's own")
    codec = {"id": name} if old else {"name": name, "configuration": {}}
    codecs = [codec] if old else [{"name": "bytes", "configuration": {"endian": "little"}}, codec]
    rewrite(store / "X/data", **{"filters" if old else "codecs": codecs})
    assert said(store).startswith(f"cycseq: {store} ")


def test_zarr_with_storage_transformers(store: Path, said: Any) -> None:
    rewrite(store / "X/data", storage_transformers=[{"name": "elsewhere", "configuration": {}}])
    if record_of(store / "X/data").name == "zarr.json":
        assert "storage" in said(store)


def test_zarr_is_read_by_its_own_records(store: Path, tmp_path: Path) -> None:
    """What is said of all members in one place may name others than are there."""
    import zarr

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        zarr.consolidate_metadata(store)
    together = next(path for name in (".zmetadata", "zarr.json") if (path := store / name).exists())
    together.write_text(together.read_text().replace("obs/", "../obs/").replace('"c0"', '"c1"'))
    assert list(read(store).adata.obs["batch"]) == list(OBS["batch"])


def test_zarr_whose_groups_speak_for_their_members(tmp_path: Path, said: Any) -> None:
    import zarr

    with warnings.catch_warnings(), ad.settings.override(zarr_write_format=3):
        warnings.simplefilter("ignore")
        small().write_zarr(tmp_path / "a.zarr")
        zarr.consolidate_metadata(tmp_path / "a.zarr", path="obs")
    assert "/obs has consolidated metadata, as only the whole store may" in said(tmp_path / "a.zarr")


@pytest.mark.parametrize("path", ["../../secret", "/etc/passwd", "..", "obs/../../secret"])
def test_zarr_names_that_lead_out(store: Path, path: str, said: Any) -> None:
    attributes = store / ("obs/.zattrs" if (store / "obs/.zattrs").exists() else "obs/zarr.json")
    record = json.loads(attributes.read_text())
    where = record if attributes.name == ".zattrs" else record["attributes"]
    where["column-order"] = [path]
    attributes.write_text(json.dumps(record))
    assert "cannot be read as zarr" in said(store)
