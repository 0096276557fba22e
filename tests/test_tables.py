"""Tables of text: what is a gene, what is a label, and values that are not numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from cycseq.cli import BAD_INPUT, main
from cycseq.errors import DataError, FileError
from cycseq.formats.read import read
from cycseq.formats.settings import ReadSettings

HEADER = "cell,perturbation,age,weight_kg,batch,KLF1,TP53,SPI1,MYC"


def table(path: Path, *, value: str = "7", row: int = 3, header: str = HEADER) -> Path:
    """Forty cells; one value of KLF1 is said."""
    rows = [
        f"c{i},{'ctrl' if i % 2 else 'KLF1'},{30 + i},{70 + i},b{i % 3},{value if i == row else i},1,2,{i % 5}"
        for i in range(40)
    ]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.mark.parametrize("row", [3, 30])
@pytest.mark.parametrize("value", ["#REF!", '"1,234"', "0x10", "1e400", "high", "TRUE", "1_000", "3\x1e", "\u0663"])
def test_a_value_that_is_no_number_is_named(
    tmp_path: Path, value: str, row: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = table(tmp_path / "a.csv", value=value, row=row)
    assert main(["prepare", str(path), "--out", str(tmp_path / "p.h5ad")]) == BAD_INPUT
    message = capsys.readouterr().err
    assert f"line {row + 2} (row 'c{row}', column 'KLF1'): {value.strip(chr(34))!r} is" in message
    assert "--label-columns KLF1" in message
    assert message.count("\n") == 1


def test_a_column_that_a_spreadsheet_ruined_is_no_label(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    ruined = [
        line if i == 0 or i > 25 else ",".join([*line.split(",")[:5], "#REF!", *line.split(",")[6:]])
        for i, line in enumerate(lines)
    ]
    path.write_text("\n".join(ruined))
    with pytest.raises(FileError, match=r"line 2 \(row 'c0', column 'KLF1'\): '#REF!' is not a number"):
        read(path)


def test_a_gene_whose_first_values_are_words(tmp_path: Path) -> None:
    """More words than numbers in the rows that are looked at first, but not in all."""
    path = table(tmp_path / "a.csv")
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join(
            line if i in {0} or i > 11 else ",".join([*line.split(",")[:5], "bad", *line.split(",")[6:]])
            for i, line in enumerate(lines)
        )
    )
    with pytest.raises(FileError, match=r"column 'KLF1'\): 'bad' is not a number"):
        read(path)


def test_numbers_beside_the_labels_are_no_genes(tmp_path: Path) -> None:
    data = read(table(tmp_path / "a.csv"))
    assert data.genes == ["KLF1", "TP53", "SPI1", "MYC"]
    assert list(data.adata.obs["age"][:2]) == [30, 31]
    assert list(data.adata.obs["weight_kg"][:2]) == [70, 71]
    assert any(
        "4 columns are labels (perturbation, age, weight_kg, batch), 4 are genes (KLF1," in n for n in data.notes
    )


def test_genes_in_small_letters_stay_genes(tmp_path: Path) -> None:
    data = read(table(tmp_path / "a.csv", header=HEADER.lower().replace("weight_kg", "sox2")))
    assert data.genes == ["sox2", "klf1", "tp53", "spi1", "myc"]


def test_numbers_with_small_letters_beside_the_labels_are_no_genes(tmp_path: Path) -> None:
    for name in ("Total", "SampleID", "Dose_uM", "time_min"):
        data = read(table(tmp_path / f"{name}.csv", header=HEADER.replace("weight_kg", name)))
        assert data.genes == ["KLF1", "TP53", "SPI1", "MYC"], name


def test_genes_called_like_a_day_stay_genes_and_are_said(tmp_path: Path) -> None:
    data = read(table(tmp_path / "a.csv", header=HEADER.replace("KLF1", "1-Mar").replace("TP53", "2023-09-02")))
    assert data.genes == ["1-Mar", "2023-09-02", "SPI1", "MYC"]
    assert any("2 genes are called like a day (1-Mar, 2023-09-02)" in note for note in data.notes)


def test_two_columns_of_labels_of_one_name(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", header=HEADER.replace("weight_kg", "age"))
    with pytest.raises(FileError, match="two columns 'age', and they differ"):
        read(path)


def test_labels_may_be_named(tmp_path: Path) -> None:
    path = table(tmp_path / "a.csv", header=HEADER.replace("weight_kg", "MASS"))
    assert read(path).genes[0] == "MASS"
    assert any("5 are genes (MASS," in note for note in read(path).notes)
    assert read(path, ReadSettings(split_by="MASS", drop_unlabelled=True)).genes[0] == "KLF1"
    data = read(path, ReadSettings(label_columns=("MASS", "MYC")))
    assert data.genes == ["KLF1", "TP53", "SPI1"]
    assert {"MASS", "MYC"} <= set(data.adata.obs)
    with pytest.raises(DataError, match="no column for --label-columns 'mass': did you mean 'MASS'"):
        read(path, ReadSettings(label_columns=("mass",)))


def test_the_command_takes_a_list_of_label_columns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = table(tmp_path / "a.csv", header=HEADER.replace("weight_kg", "Mass"))
    assert main(["inspect", str(path), "--label-columns", "Mass,MYC"]) == 0
    assert "--label-columns Mass,MYC --out" in capsys.readouterr().out
