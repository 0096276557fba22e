"""Columns and layers of tables of effects, besides those that files of cells have."""

from __future__ import annotations

PERTURBATIONS = ("pert_iname", "pert_name", "cmap_name", "sm_name", "compound", "pert_id")
CONTEXTS = ("cell_iname", "cell_id", "cell", "tissue")
ORIGINS = ("batch", "plate", "well", "pool_id", "det_plate", "donor", "study")
"""Columns that tell what conditions have in common besides biology: of several rows all are named, joined by ``|``."""
ERRORS = ("se", "lfcse", "std_error", "stderr", "standard_error", "sem")  # of standard errors, in lower case
