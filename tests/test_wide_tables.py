"""Tables of many columns: what comes out is what pandas would have made of them."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from cycseq.errors import CycseqError, DataError, FileError
from cycseq.formats.readers import parsed_tables, tables, wide_tables
from cycseq.formats.settings import ReadSettings

NUMBERS = ("0", "7", "-3", "1.5", "1e-3", "2.5E+2", ".5", "3.", " 4", "16777217", "9007199254740993", "0.1000000014901161",
           "1e-400", "00012", "123456789012345678901234567890", "3.4028235e38", "+8")  # fmt: skip
HEADER = 'cell,perturbation,age,"K,LF1",TP53,TP53,,SPI1,batch'


def mixed(n_cells: int = 30) -> str:
    """Labels in front, among the genes and behind them, quotes, and numbers of every spelling."""
    pick = random.Random(0)
    rows = [HEADER]
    for i in range(n_cells):
        values = [pick.choice(NUMBERS) for _ in range(5)]
        values[1] = f'"{values[1]}"' if i % 3 == 0 else values[1]
        rows.append(f'"c{i}",{"control" if i % 2 else "TP53"},{30 + i},{",".join(values)},"b, {i % 3}"')
    return "\n".join(rows) + "\n"


def transposed() -> str:
    """Genes x cells."""
    barcodes = [f"ACGTACGTAC{'ACGT'[i]}-1" for i in range(4)]
    return "\n".join(["\t".join(barcodes), *(f"G{g}\t{g}\t0.5\t1e-3\t7" for g in range(25))])


def both_ways(path: Path, monkeypatch: pytest.MonkeyPatch, settings: ReadSettings | None = None) -> None:
    """Read as a wide table, without pandas' help, and as a narrow one; or the same error."""
    outcomes = []
    for wide in (1, 10**9):
        monkeypatch.setattr(tables, "WIDE", wide)
        try:
            loaded = tables.read_table(path, settings or ReadSettings())
        except CycseqError as err:
            outcomes.append((type(err), str(err)))
            continue
        x = loaded.adata.X
        values = x if isinstance(x, np.ndarray) else x.toarray()
        outcomes.append((loaded.notes, values.dtype, values.shape, values.tobytes(), list(loaded.adata.var_names)))
        outcomes[-1] += (
            list(loaded.adata.obs_names),
            loaded.adata.obs.to_dict(),
            list(map(str, loaded.adata.obs.dtypes)),
        )
        outcomes[-1] += (loaded.adata.obs.index.name, loaded.adata.var.index.name)
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.tsv"])
def test_a_mixed_table_equals_what_pandas_makes_of_it(
    tmp_path: Path, name: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = mixed().replace("\n", end)
    if name == "a.tsv":
        text = text.replace(",", "\t")
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    both_ways(path, monkeypatch)
    monkeypatch.setattr(tables, "WIDE", 1)
    monkeypatch.setattr(parsed_tables, "_parsed", None)  # pandas is not asked for the whole
    adata = tables.read_table(path, ReadSettings()).adata
    assert adata.n_obs == 30
    assert list(adata.var_names[1:]) == ["TP53", "TP53", "Unnamed: 6", "SPI1"]
    assert list(adata.obs["age"][:2]) == [30, 31]


@pytest.mark.parametrize("header", ["", "gene\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_genes_by_cells(tmp_path: Path, header: str, mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(mark + header + transposed(), encoding="utf-8")
    both_ways(path, monkeypatch)
    monkeypatch.setattr(parsed_tables, "_parsed", None)
    monkeypatch.setattr(tables, "WIDE", 1)
    assert tables.read_table(path, ReadSettings()).adata.shape == (4, 25)


@pytest.mark.parametrize("row", [1, 25])
@pytest.mark.parametrize("value", ["", "NA", "-nan", "inf", "-Infinity", "1e400", '"1,234"', "0x10", "True", "1_000", "a\"b", "  ",
                                   '"1\n2"', "1,2", "\x00", "1\r2", '"', "é", "NULL", "12 3"])  # fmt: skip
def test_what_is_no_number_is_the_same_error(
    tmp_path: Path, value: str, row: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"c{i},control,{i},2,3.5,{value if i == row else i}" for i in range(30)]
    for text in ("cell,perturbation,KLF1,TP53,SPI1,MYC", "perturbation,KLF1,TP53,SPI1,MYC"):
        (tmp_path / "a.csv").write_text("\n".join([text, *lines]) + "\n", newline="")
        both_ways(tmp_path / "a.csv", monkeypatch)


@pytest.mark.parametrize(
    "line", ["c9,control,1,2", "c9", "   ", "", '""', "c9,control,1,2,3,4,5", ",,,,,", '"c9,control,1,2,3,4']
)
def test_a_ragged_line_is_the_same_error(tmp_path: Path, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = ["cell,perturbation,KLF1,TP53,SPI1,MYC", *(f"c{i},control,{i},2,3.5,1" for i in range(5))]
    for at in (1, 3, 6):
        path = tmp_path / "a.csv"
        path.write_text("\n".join([*lines[:at], line, *lines[at:]]) + "\n")
        both_ways(path, monkeypatch)


def test_the_first_value_that_is_no_number_is_named_in_a_wide_table(tmp_path: Path) -> None:
    genes = [f"G{i}" for i in range(wide_tables.WIDE)]
    rows = [[f"c{i}", "control", *["1"] * len(genes)] for i in range(30)]
    rows[25][7] = "#REF!"
    path = tmp_path / "a.csv"
    path.write_text("\n".join(map(",".join, [["cell", "perturbation", *genes], *rows])))
    with pytest.raises(FileError, match=r"line 27 \(row 'c25', column 'G5'\): '#REF!' is not a number"):
        tables.read_table(path, ReadSettings())
    rows[25][7] = ""
    path.write_text("\n".join(map(",".join, [["cell", "perturbation", *genes], *rows])))
    with pytest.raises(DataError, match=r"line 27 \(c25\): 1 of 5,000 values are missing"):
        tables.read_table(path, ReadSettings())


def test_a_truncated_file_is_the_same_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.csv.gz"
    packed = gzip.compress(mixed(3000).encode())
    path.write_bytes(packed[: len(packed) // 2])
    with pytest.raises(FileError):
        tables.read_table(path, ReadSettings())
    both_ways(path, monkeypatch)


def test_rows_that_are_parsed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wide_tables, "AT_ONCE", 12)
    path = tmp_path / "a.csv"
    path.write_text(mixed(31))
    both_ways(path, monkeypatch)


def test_names_are_told_apart_as_pandas_does() -> None:
    pick = random.Random(1)
    for _ in range(200):
        header = [pick.choice(["A", "A.1", "A.2", "B", "", "Unnamed: 2", "A.1.1"]) for _ in range(pick.randint(2, 9))]
        line = ",".join(header)
        expected = pd.read_csv(io.StringIO(f"{line}\n{line}\n")).columns
        assert wide_tables._told_apart(header) == list(expected), header
