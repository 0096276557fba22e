"""Small files that would fill the memory: each is refused in a line, in a process that has little of it."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import re
import signal
import socket
import struct
import traceback
import warnings
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from cycseq.cli import main
from cycseq.errors import CycseqError
from cycseq.formats.read import read
from cycseq.formats.readers.chunks import unpacked_size

resource = pytest.importorskip("resource", reason="limits of memory are set as POSIX does")
numcodecs = pytest.importorskip("numcodecs")
MOST = 600 << 20
"""Bytes that reading a hostile file may take beyond what the process has."""
OBS = pd.DataFrame({"perturbation": ["control", "G1"] * 3}, index=[f"c{i}" for i in range(6)])
LARGE = 1 << 30


def small() -> ad.AnnData:
    counts = np.arange(1, 19, dtype=np.float32).reshape(6, 3)
    return ad.AnnData(sp.csr_matrix(counts), obs=OBS.copy(), var=pd.DataFrame(index=["G1", "G2", "G3"]))


def in_little(call: Callable[[], str], seconds: int = 30) -> str:
    """What a call returns, or the error that it raises, in a process of little memory and time."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        signal.alarm(seconds)
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + MOST,) * 2)
            said = call()
        except CycseqError as err:
            said = str(err)
        except BaseException:  # noqa: BLE001  (told to the parent)
            said = traceback.format_exc()
        os.write(writing, said.encode("utf-8", "backslashreplace")[-4000:])
        os._exit(0)
    os.close(writing)
    said = os.read(reading, 5000).decode()
    os.close(reading)
    status = os.waitpid(child, 0)[1]
    assert said, f"the process ended with status {status}"
    assert "Traceback" not in said, said
    assert "\n" not in said
    return said


def refusal(path: Path) -> str:
    """What is said of a file."""
    return in_little(lambda: f"read {read(path).n_cells} cells")


pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc here")


# chunks of zarr


@pytest.fixture(params=[2, 3])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with warnings.catch_warnings(), ad.settings.override(zarr_write_format=request.param):
        warnings.simplefilter("ignore")
        small().write_zarr(tmp_path / "a.zarr")
    for together in tmp_path.rglob(".zmetadata"):
        together.unlink()
    return tmp_path / "a.zarr"


def chunk_of(array: Path) -> Path:
    return next(f for f in array.rglob("*") if f.is_file() and not f.name.startswith((".z", "zarr.json")))


def packed_by(array: Path, codec: str) -> None:
    """Its record says that chunks are packed in this way."""
    record = next(path for name in (".zarray", "zarr.json") if (path := array / name).exists())
    said = json.loads(record.read_text())
    if record.name == ".zarray":
        said["compressor"] = numcodecs.get_codec({"id": codec}).get_config()
    else:
        settings: dict[str, Any] = {"level": 1} | ({"checksum": False} if codec == "zstd" else {})
        if codec == "blosc":
            settings = {"typesize": 4, "cname": "lz4", "clevel": 5, "shuffle": "noshuffle", "blocksize": 0}
        said["codecs"] = [*said["codecs"][:1], {"name": codec, "configuration": settings}]
    record.write_text(json.dumps(said))


@cache
def zeros(codec: str) -> bytes:
    """A chunk that unpacks to a gibibyte."""
    if codec in {"gzip", "zlib"}:
        pack = zlib.compressobj(9, zlib.DEFLATED, 31 if codec == "gzip" else 15)
        first, again = (pack.compress(bytes(1 << 24)) + pack.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
        return first + again * ((LARGE >> 24) - 1) + pack.flush()
    if codec == "zstd":  # one frame without its size, of blocks of a repeated byte
        block = struct.pack("<I", (128 << 10) << 3 | 1 << 1)[:3] + b"\0"
        last = struct.pack("<I", 1 << 3 | 1 << 1 | 1)[:3] + b"\0"
        return struct.pack("<IBB", 0xFD2FB528, 0, 7 << 3) + block * (LARGE >> 17) + last
    if codec == "lz4":
        return struct.pack("<I", LARGE) + bytes(numcodecs.LZ4().encode(bytes(1000)))[4:]
    whole = bytearray(numcodecs.Blosc().encode(bytes(1 << 20)))
    whole[4:8] = struct.pack("<I", LARGE)
    return bytes(whole)


def readable(store: Path, codec: str) -> bool:
    """Format 3 has fewer codecs."""
    return (store / ".zgroup").exists() or codec not in {"lz4", "zlib"}


@pytest.mark.parametrize("codec", ["gzip", "zlib", "zstd", "lz4", "blosc"])
def test_zarr_chunks_that_unpack_to_a_gibibyte(store: Path, codec: str) -> None:
    if not readable(store, codec):
        pytest.skip("not in this format")
    packed_by(store / "X/data", codec)
    chunk_of(store / "X/data").write_bytes(numcodecs.get_codec({"id": codec}).encode(np.arange(1, 19, dtype="f4")))
    assert refusal(store) == "read 6 cells"
    chunk_of(store / "X/data").write_bytes(zeros(codec))
    assert "a chunk of 'data' claims to hold more than the 18 values that it stands for" in refusal(store)


def test_zstd_frames_that_claim_their_size(store: Path) -> None:
    packed_by(store / "X/data", "zstd")
    chunk_of(store / "X/data").write_bytes(struct.pack("<IBQ", 0xFD2FB528, 0xE0, 2 * LARGE) + b"\1\0\0")
    assert "a chunk of 'data' claims to hold more" in refusal(store)


def test_zarr_texts_that_claim_a_thousand_million(store: Path) -> None:
    """14 kB took 8.4 GB."""
    packed_by(store / "obs/_index", "zstd")
    texts = struct.pack("<I", 2**30 - 1) + bytes(1000)
    chunk_of(store / "obs/_index").write_bytes(numcodecs.Zstd().encode(texts))
    assert "a chunk of '_index' claims to hold more than the 6 values" in refusal(store)


def test_zarr_short_texts_without_end(store: Path) -> None:
    import zarr

    names = zarr.open_group(store, mode="a", use_consolidated=False)["uns"].create_array(
        "x", shape=(4_000_000,), chunks=(4_000_000,), dtype=np.dtypes.StringDType()
    )
    names[:] = "yy"
    assert re.search(r"unpacks to 3\d\d,", refusal(store))


def test_zarr_chunks_of_gzip_that_are_small_for_a_large_store(store: Path) -> None:
    (store / "uns/large").write_bytes(bytes(1 << 24))
    packed_by(store / "X/data", "gzip")
    chunk_of(store / "X/data").write_bytes(zeros("gzip"))
    assert "a chunk of 'data' claims to hold more than the 18 values" in refusal(store)


def test_zarr_texts_that_unpack_to_a_gibibyte(store: Path) -> None:
    packed_by(store / "obs/_index", "gzip")
    chunk_of(store / "obs/_index").write_bytes(zeros("gzip"))
    assert "a chunk of '_index' claims to hold more" in refusal(store)


def test_zarr_packed_twice(store: Path) -> None:
    """Each of the two unpacks a thousand times."""
    record = next(path for name in (".zarray", "zarr.json") if (path := store / "X/data" / name).exists())
    said = json.loads(record.read_text())
    if record.name == ".zarray":
        said |= {"filters": [{"id": "zlib", "level": 1}], "compressor": {"id": "zlib", "level": 1}}
    else:
        gzip_ = {"name": "gzip", "configuration": {"level": 1}}
        said["codecs"] = [said["codecs"][0], gzip_, gzip_]
    record.write_text(json.dumps(said))
    assert "'data' is packed twice" in refusal(store)


def sharded(folder: Path) -> Path:
    """The array `uns/x` of a store of format 3, in one file of several chunks."""
    import zarr

    with warnings.catch_warnings(), ad.settings.override(zarr_write_format=3):
        warnings.simplefilter("ignore")
        small().write_zarr(folder / "a.zarr")
        uns = zarr.open_group(folder / "a.zarr", path="uns", use_consolidated=False)
        made = uns.create_array("x", shape=(64,), chunks=(16,), shards=(64,), dtype="f4")
        made[:] = np.arange(64)
        made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return folder / "a.zarr"


def test_chunks_in_shards(tmp_path: Path) -> None:
    store = sharded(tmp_path)
    assert list(read(store).adata.uns["x"]) == list(range(64))
    shard = chunk_of(store / "uns/x")
    whole = shard.read_bytes()
    bomb = zeros("zstd")
    index = struct.pack("<8Q", 0, len(bomb), *[2**64 - 1] * 6)
    shard.write_bytes(bomb + index + bytes(4))
    assert "a chunk of 'x' claims to hold more than the 16 values" in refusal(store)
    shard.write_bytes(whole[:3])
    assert "cannot be read as zarr" in refusal(store)


# HDF5


@pytest.fixture
def h5ad(tmp_path: Path) -> Path:
    small().write_h5ad(tmp_path / "a.h5ad")
    return tmp_path / "a.h5ad"


def test_hdf5_chunks_that_unpack_to_two_gibibytes(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        values = file["X/data"][:]
        for chunk, shuffle in ((zlib.compress(values.tobytes()), False), (zeros("zlib"), False), (zeros("zlib"), True)):
            del file["X/data"]
            settings = {"shape": (18,), "dtype": "f4", "chunks": (18,), "compression": "gzip", "shuffle": shuffle}
            file["X"].create_dataset("data", **settings).id.write_direct_chunk((0,), chunk)
            file.flush()
            if len(chunk) > 1000:
                assert "a chunk of 'data' unpacks to more than the 72 bytes that it stands for" in refusal(h5ad)
            else:
                assert refusal(h5ad) == "read 6 cells"


@pytest.mark.parametrize("n", [3, 200])
def test_hdf5_chunks_that_are_small_each_and_many_gibibytes_together(n: int, h5ad: Path) -> None:
    """HDF5 keeps them all: it takes them for as small as they should be."""
    chunk = zlib.compress(bytes(250_000_000), 9)
    with h5py.File(h5ad, "r+") as file:
        values = file["uns"].create_dataset("x", (4 * n,), "f4", chunks=(4,), compression="gzip")
        for place in range(n):
            values.id.write_direct_chunk((4 * place,), chunk)
    assert "a chunk of 'x' unpacks to more than the 16 bytes that it stands for" in refusal(h5ad)


def test_hdf5_chunks_of_lzf_that_are_longer_than_what_they_stand_for(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        values = file["uns"].create_dataset("x", (18,), "f4", chunks=(18,), compression="lzf")
        values.id.write_direct_chunk((0,), b"\0a" + b"\xe0\xff\0" * 300_000)
    assert "a chunk of 'x' unpacks to more than the 72 bytes that it stands for" in refusal(h5ad)


@pytest.mark.parametrize(("kind", "n"), [("i1", 250_000_000), ("?", 70_000_000), ("S2", 100_000_000),
                                         (h5py.string_dtype(), 10_000_000), ("(1000,)u1", 70_000)])  # fmt: skip
def test_hdf5_values_that_are_larger_in_memory_than_in_the_file(kind: Any, n: int, h5ad: Path) -> None:
    """Small numbers become float32, and texts of two letters take eighty bytes."""
    with h5py.File(h5ad, "r+") as file:
        file["uns"].create_dataset("x", (n,), kind, chunks=(min(n, 1_000_000),), compression="gzip")
    assert re.search(r"unpacks to \d+,\d{3},\d{3}", refusal(h5ad))


def test_hdf5_chunks_that_are_not_there(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["uns"].create_dataset("x", (60_000_000,), "f4", chunks=(1,))
    assert "only 0 of 60,000,000 chunks of 'x' are there" in refusal(h5ad)


def test_hdf5_attributes_without_end(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        for i in range(1001):
            file["uns"].attrs[f"a{i}"] = 1
    assert "'uns' has 1,00" in refusal(h5ad)


@pytest.mark.parametrize("packed", [{}, {"chunks": (512,)}, {"chunks": (512,), "compression": "gzip", "shuffle": True},
                                    {"chunks": (512,), "compression": "lzf"}])  # fmt: skip
def test_one_long_text_that_is_named_many_times(h5ad: Path, packed: dict[str, Any]) -> None:
    """Two million bytes, named by four thousand cells: eight thousand million."""
    n, length = 4096, 2_000_000
    with h5py.File(h5ad, "r+") as file:
        names = file["uns"].create_dataset("x", (n,), h5py.string_dtype(), **packed)
        names[0] = "y" * length
        file["uns"].create_dataset("z", (2,), h5py.string_dtype())[0] = "y"
        if not packed:
            start = names.id.get_offset()
        one = names.id.read_direct_chunk((0,)) if packed else None
        entry = first_entry(h5ad, file, length)
        file.flush()
        if one is not None:
            whole = entry * 512
            whole = zlib.compress(whole) if packed.get("compression") == "gzip" else whole
            mask = 1 if packed.get("shuffle") else 3 if packed.get("compression") == "lzf" else 0
            for at in range(0, n, 512):
                names.id.write_direct_chunk((at,), whole, mask)
    if not packed:
        content = bytearray(h5ad.read_bytes())
        content[start : start + 16 * n] = entry * n
        h5ad.write_bytes(content)
    with h5py.File(h5ad) as file:
        assert len(file["uns/x"][n - 1]) == length
    assert re.search(r"unpacks to [18],\d{3},\d{3},\d{3} or more", refusal(h5ad))


def first_entry(path: Path, file: h5py.File, length: int) -> bytes:
    """How the file names a text of this length: its length, and where it lies."""
    beside = file["uns"].create_dataset("beside", (1,), h5py.string_dtype())
    beside[0] = "y" * length
    file.flush()
    start = beside.id.get_offset()
    return path.read_bytes()[start : start + 16]


def test_one_long_text_that_an_attribute_names_many_times(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["uns"].attrs["many"] = [f"name{i:04}" for i in range(3000)]
    assert refusal(h5ad) == "read 6 cells"
    with h5py.File(h5ad, "r+") as file:
        entry = first_entry(h5ad, file, 2_000_000)
    content = bytearray(h5ad.read_bytes())
    start = entries_of(content, 3000)
    content[start : start + 16 * 3000] = entry * 3000
    h5ad.write_bytes(content)
    assert "unpacks to 6," in refusal(h5ad)


def entries_of(content: bytearray, n: int) -> int:
    """Where so many names of eight letters are listed one after the other."""
    start = -1
    while True:
        start = content.index(struct.pack("<I", 8), start + 1)
        if all(content[start + 16 * i : start + 16 * i + 4] == struct.pack("<I", 8) for i in range(n)):
            return start


def test_one_long_text_that_stands_for_all_that_was_not_written(h5ad: Path) -> None:
    with h5py.File(h5ad, "r+") as file:
        file["uns"].create_dataset("x", (4096,), h5py.string_dtype(), fillvalue="y" * 2_000_000)
    assert "unpacks to 8," in refusal(h5ad)


def test_zarr_texts_that_stand_for_all_that_was_not_written(store: Path) -> None:
    record = next(path for name in (".zarray", "zarr.json") if (path := store / "obs/_index" / name).exists())
    chunk_of(store / "obs/_index").unlink()
    changes = {"fill_value": "y" * 100_000, "shape": [5000]}
    record.write_text(json.dumps(json.loads(record.read_text()) | changes))
    assert "unpacks to 500," in refusal(store)


def test_files_with_a_block_of_the_user(tmp_path: Path) -> None:
    """All that HDF5 says of places in a file counts from behind that block, or from the beginning."""
    from cycseq.formats.readers.texts import Texts

    with h5py.File(tmp_path / "a.h5", "w", userblock_size=1024) as file:
        file["x"] = np.array(["aa", "bbb"], dtype=object)
        file.flush()
        assert Texts(file, tmp_path / "a.h5").measure(file["x"]) == 5


@pytest.mark.parametrize("how", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_zip_members_whose_size_is_not_told(how: int, tmp_path: Path) -> None:
    """Python unpacks of them all that it has read at once."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", how) as packed:
        packed.writestr("X.npy", bytes(1 << 26))
    assert "'X.npy' in it is neither stored as it is nor packed by deflate" in refusal(tmp_path / "a.npz")


def test_parquet(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    from cycseq.io.parquet import read_parquet

    path = tmp_path / "a.parquet"
    plain = pa.table({"name": [None, *map(str, range(3000))], "x": np.arange(3001.0), "y": [b"z" * 9] * 3001})
    encoded = {
        "use_dictionary": False,
        "column_encoding": {"name": "DELTA_LENGTH_BYTE_ARRAY", "x": "BYTE_STREAM_SPLIT"},
    }
    for how in ({}, {"data_page_version": "2.0"}, {"compression": "gzip"}, {"row_group_size": 100}, {"data_page_size": 100},
                {"write_page_index": True, "write_page_checksum": True}, encoded):  # fmt: skip
        pq.write_table(plain, path, **how)
        pd.testing.assert_frame_equal(read_parquet(path), plain.to_pandas())
    pd.DataFrame({"x": [1.0, 2.0]}, index=pd.Index(["a", "b"], name="gene")).to_parquet(path)
    assert read_parquet(path)["gene"].tolist() == ["a", "b"]

    def says(table: Any, **how: Any) -> str:
        pq.write_table(table, path, compression="zstd", **how)
        return in_little(lambda: f"read {len(read_parquet(path))} rows")

    names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(100_000, "i4")), pa.array(["y" * 20_000]))
    assert says(pa.table({"a": names}), store_schema=False) == "read 100000 rows"  # 2 GB, were each written out
    assert "unpacks to 300,000,0" in says(pa.table({"a": ["y" * 300_000_000]}), use_dictionary=False)
    assert "unpacks to 268" in says(pa.table({"a": np.zeros(30_000_000, "i1")}))
    assert "unpacks to " in says(pa.table({"a": pa.array([[0] * 30_000_000])}))
    shared = {"use_dictionary": False, "column_encoding": {"a": "DELTA_BYTE_ARRAY"}}
    assert "'a' is encoded as DELTA_BYTE_ARRAY" in says(pa.table({"a": ["y" * 200_000] * 1500}), **shared)


def test_texts_whose_length_is_a_lie(h5ad: Path) -> None:
    with h5py.File(h5ad) as file:
        start = file["obs/_index"].id.get_offset()
    content = bytearray(h5ad.read_bytes())
    content[start : start + 4] = struct.pack("<I", 2**32 - 1)
    h5ad.write_bytes(content)
    assert "unpacks to 4,294,967" in refusal(h5ad)


def test_texts_in_rows_are_measured(h5ad: Path) -> None:
    kind = np.dtype([("n", "i4"), ("a", h5py.string_dtype()), ("x", "f8"), ("b", h5py.string_dtype())])
    rows = np.array([(1, "abc", 0.5, "de")] * 5, dtype=kind)
    from cycseq.formats.readers.texts import Texts

    with h5py.File(h5ad, "r+") as file:
        file["uns"].create_dataset("rows", data=rows)
        file["uns"].create_dataset("lists", (2,), h5py.vlen_dtype("f8"))[1] = np.arange(7.0)
        file["uns"].create_dataset("packed", data=rows, chunks=(2,), compression="gzip")
        file.flush()
        texts = Texts(file, h5ad)
        assert [texts.measure(file["uns"][name]) for name in ("rows", "packed", "lists")] == [25, 25, 56]
        assert texts.measure(file["obs/_index"]) == 12
    assert read(h5ad).n_cells == 6


# whatever packs


@pytest.mark.parametrize("codec", ["gzip", "zlib", "zstd", "lz4", "blosc"])
@pytest.mark.parametrize("n", [0, 1, 100, 200_000, 3_000_000])
def test_what_chunks_say_of_their_size_is_true(codec: str, n: int) -> None:
    for content in (bytes(n), np.random.default_rng(0).bytes(n)):
        assert unpacked_size(codec, bytes(numcodecs.get_codec({"id": codec}).encode(content)), n) == n


def test_several_frames_and_members_in_a_chunk() -> None:
    frame, member = bytes(numcodecs.Zstd().encode(bytes(1000))), gzip.compress(bytes(1000))
    passed_over = struct.pack("<II", 0x184D2A53, 3) + b"abc"
    assert unpacked_size("zstd", frame + passed_over + frame) == 2000
    assert unpacked_size("gzip", member * 3, 10) == 1000  # beyond what is allowed, it need not be told by how much
    assert unpacked_size("gzip", member * 3, 2500) == 3000


# what has no end

WORDS = {
    "a file of cells": "inspect {x}",
    "cells": "prepare {x} --genes all --out {f}/o.h5ad",
    "labels": "prepare {f}/a.csv --genes all --labels-file {x} --out {f}/o.h5ad",
    "genes": "prepare {f}/a.npy --genes all --genes-file {x} --out {f}/o.h5ad",
    "split": "fit --data {f}/a.h5ad --split {x} --model Ridge --run {f}/r",
    "features": "fit --data {f}/a.h5ad --split {f}/s.json --model Ridge --model.features {x} --run {f}/r",
    "config": "prepare {f}/a.h5ad --genes all --config {x} --out {f}/o.h5ad",
    "gene sets": "pathways --predicted {f}/a.h5ad --gmt {x} --out {f}/o.csv",
    "ranges": "tune --data {f}/a.h5ad --split {f}/s.json --model Ridge --space {x} --out {f}/t",
    "scale of the challenge": "evaluate --predicted {f}/a.h5ad --real {f}/a.h5ad --challenge-scale {x} --out {f}/m.csv",
    "a run": "predict --run {f}/run --out {f}/o.h5ad",
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Path:
    f = tmp_path_factory.mktemp("endless")
    for words in (
        f"simulate --contexts 2 --perturbations 3 --cells 60 --genes 10 --seed 3 --out {f}/a.h5ad",
        f"split --data {f}/a.h5ad --context Line2 --validation 0 --out {f}/s.json",
    ):
        assert main(words.split()) == 0
    (f / "a.csv").write_text("cell,G1,G2\nc1,1,2\n")
    np.save(f / "a.npy", np.ones((2, 2)))
    (f / "run").mkdir()
    os.mkfifo(f / "run" / "run.json")
    for ending in ("", ".h5ad", ".csv", ".json"):
        os.mkfifo(f / f"pipe{ending}")
        (f / f"zero{ending}").symlink_to("/dev/zero")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(f / f"socket{ending}"))
    return f


@pytest.mark.parametrize("ending", ["", ".h5ad", ".csv"])
@pytest.mark.parametrize("kind", ["pipe", "socket", "zero"])
def test_cells_without_end(kind: str, ending: str, lab: Path) -> None:
    assert refusal(lab / f"{kind}{ending}").startswith(f"{lab}/{kind}{ending} is a ")


@pytest.mark.parametrize("what", WORDS)
@pytest.mark.parametrize("kind", ["pipe", "zero"])
def test_files_without_end_anywhere(what: str, kind: str, lab: Path, tmp_path: Path) -> None:
    ending = {"split": ".json", "cells": ".csv"}.get(what, "")
    words = WORDS[what].format(x=lab / f"{kind}{ending}", f=lab).split()

    def said() -> str:
        with (tmp_path / "err").open("w") as err, contextlib.redirect_stderr(err):
            code = main(words)
        return f"{code} {(tmp_path / 'err').read_text().strip()}"

    line = in_little(said)
    assert line.startswith("2 cycseq: "), line
    assert f"{lab}/" in line
    assert "is a " in line or "is not a run" in line
    assert not (lab / "o.h5ad").exists()


def test_pipes_in_folders(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    os.mkfifo(tmp_path / "x" / "matrix.mtx")
    for name in ("barcodes.tsv", "genes.tsv"):
        (tmp_path / "x" / name).write_text("a\n")
    assert f"{tmp_path}/x/matrix.mtx is a pipe" in refusal(tmp_path / "x")
    (tmp_path / "y").mkdir()
    os.mkfifo(tmp_path / "y" / "b_G1.csv")
    assert f"{tmp_path}/y/b_G1.csv is a pipe" in refusal(tmp_path / "y")


def test_zarr_of_many_chunks_that_are_not_there(store: Path) -> None:
    """zarr looks for each of them, which takes minutes."""
    record = next(path for name in (".zarray", "zarr.json") if (path := store / "obs/_index" / name).exists())
    record.write_text(json.dumps(json.loads(record.read_text()) | {"shape": [6 << 17]}))
    assert "only 1 of 131,072 chunks of '_index' are there" in refusal(store)
