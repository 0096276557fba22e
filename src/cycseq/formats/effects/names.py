"""Columns and layers of tables of effects."""

from __future__ import annotations

from cycseq.data.usual_names import CONTEXT_NAMES, PERTURBATION_NAMES

PERTURBATIONS = (*PERTURBATION_NAMES, "pert_iname", "pert_name", "cmap_name", "sm_name", "compound", "pert_id")
CONTEXTS = (*CONTEXT_NAMES, "cell_iname", "cell_id", "cell", "tissue")
ORIGINS = ("batch", "plate", "well", "pool_id", "det_plate", "donor", "study")
"""Columns that tell what conditions have in common besides biology: of several rows all are named, joined by ``|``."""
ERRORS = ("se", "lfcse", "std_error", "stderr", "standard_error", "sem")  # of standard errors, in lower case
