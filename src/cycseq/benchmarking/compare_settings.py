"""Which networks are compared: the options of `cycseq compare`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cycseq.errors import SettingsError, check_at_least


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
    """Passes over the training cells at most; each model's own number if not said."""
    seed: int = 0
    """Fixes the split, the training and what is drawn; 42 as published."""
    model_settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Settings of models, by model and setting; they go before all others."""

    def __post_init__(self) -> None:
        check_at_least(1, latent=self.latent, epochs=self.epochs)
        check_at_least(0, seed=self.seed)
        if not self.models:
            msg = "there is no model to compare: say --models Autoencoder,VAE,GAN."
            raise SettingsError(msg)
