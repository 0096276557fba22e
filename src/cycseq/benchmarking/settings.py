"""The options of `cycseq benchmark` (models x splits x seeds) and of `cycseq compare` (networks on one split of cells)."""

from dataclasses import dataclass, field
from typing import Any

from cycseq.errors import SettingsError, check_at_least


@dataclass(frozen=True)
class BenchmarkSettings:
    """Models x splits x seeds."""

    models: list[str] = field(default_factory=lambda: ["baselines"])
    """Models by name, or the groups baselines and all. NoChange, PerturbedMean and
    SmoothedControls, the negative controls, are added."""
    split: list[str] = field(default_factory=lambda: ["unseen-context"])
    """Kinds of split, or JSON files that cycseq split wrote."""
    seeds: int = 3
    """How many times each model is fitted and used for prediction, with seeds 0, 1, 2, ..."""
    jobs: int = 1
    """Processes; they share one copy of the cells, and each also needs memory for one model and one split."""
    scheduler: str | None = None
    """Compute on a Dask cluster: the address of its scheduler (tcp://host:8786), or local, which starts --jobs worker
    processes. If a worker is lost, others repeat what it was computing."""
    cells: int | None = None
    """Cells to predict for each condition; by default one for each control cell, at most 500 (fewer if there are many
    conditions, but as many as real cells)."""
    knowledge: list[str] = field(default_factory=list)
    """What is known of genes or drugs, for every model that takes it: files, or names of cycseq knowledge list. A perturbation
    that it does not list gets the response that is common to all."""
    model_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings of models, by model and setting; those left out keep their defaults."""

    def __post_init__(self) -> None:
        check_at_least(1, seeds=self.seeds, jobs=self.jobs, cells=self.cells)


@dataclass
class CompareSettings:
    """Which networks are compared, and how."""

    models: list[str] = field(default_factory=lambda: ["Autoencoder", "VAE", "GAN"])
    """Models by name (cycseq list models); those without a decoder are compared in generation alone."""
    published: bool = False
    """The published form: no conditions, standardised genes, free output; single perturbations and the 1,000 genes of
    highest variance."""
    latent: int = 64
    """Units of the latent spaces, and components of the PCA beside them."""
    epochs: int | None = None
    """Passes over the training cells at most; each model's own number if not given."""
    seed: int = 0
    """Fixes the split, the training and what is drawn; 42 as published."""
    model_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings of models, by model and setting; they go before all others."""

    def __post_init__(self) -> None:
        check_at_least(1, latent=self.latent, epochs=self.epochs)
        check_at_least(0, seed=self.seed)
        if not self.models:
            raise SettingsError("there is no model to compare: use --models Autoencoder,VAE,GAN.")
