"""The public data sets that are read straight into `PerturbationData`: one table, one entry each."""

from __future__ import annotations

from cycseq.errors import unknown_name
from cycseq.formats.catalog.adamson2016 import ADAMSON2016
from cycseq.formats.catalog.base import DataSet, fetch
from cycseq.formats.catalog.dixit2016 import DIXIT2016
from cycseq.formats.catalog.frangieh2021 import FRANGIEH2021
from cycseq.formats.catalog.hagai2018 import HAGAI2018
from cycseq.formats.catalog.jost2020 import JOST2020
from cycseq.formats.catalog.kang2018 import KANG2018
from cycseq.formats.catalog.mcfarland2020 import MCFARLAND2020
from cycseq.formats.catalog.nk_cropseq import NK_CROPSEQ
from cycseq.formats.catalog.norman2019 import NORMAN2019, NORMAN2019_RAW
from cycseq.formats.catalog.pancancer import PANCANCER
from cycseq.formats.catalog.papalexi2021 import PAPALEXI2021
from cycseq.formats.catalog.replogle2022 import REPLOGLE2022
from cycseq.formats.catalog.sciplex3 import SCIPLEX3

__all__ = ["DATASETS", "DataSet", "dataset", "fetch"]

DATASETS: dict[str, DataSet] = {
    entry.name: entry
    for entry in (
        NORMAN2019,
        NORMAN2019_RAW,
        ADAMSON2016,
        DIXIT2016,
        *REPLOGLE2022,
        JOST2020,
        NK_CROPSEQ,
        PANCANCER,
        KANG2018,
        PAPALEXI2021,
        FRANGIEH2021,
        SCIPLEX3,
        MCFARLAND2020,
        HAGAI2018,
    )
}
"""Name -> data set."""


def dataset(name: str) -> DataSet:
    """The data set of that name; raises `SettingsError` with the nearest name if there is none."""
    if name not in DATASETS:
        raise unknown_name(name, "data set", DATASETS)
    return DATASETS[name]
