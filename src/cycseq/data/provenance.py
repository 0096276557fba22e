"""What files say of their own making."""

from __future__ import annotations

import json
from typing import Any

import anndata as ad

from cycseq.errors import DataError


def read_provenance(adata: ad.AnnData) -> dict[str, Any]:
    """``uns["cycseq"]``, with JSON texts read; raises `DataError` where it is damaged."""
    record = dict(adata.uns.get("cycseq", {}))
    try:
        return {k: json.loads(v) if isinstance(v, str) and v[:1] in {"[", "{"} else v for k, v in record.items()}
    except (ValueError, RecursionError) as err:
        msg = f"what the file says of its own making (uns['cycseq']) is damaged ({err}): remove it, or make the file again."
        raise DataError(msg) from err
