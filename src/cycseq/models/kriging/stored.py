"""The learned settings as JSON can hold them, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from cycseq.models.kriging.calibration import Trust
from cycseq.models.kriging.conserved import Conserved
from cycseq.models.kriging.mixture import Mixture
from cycseq.models.kriging.private import Private
from cycseq.models.kriging.recalibration import Recalibration
from cycseq.models.kriging.settings import Settings, Stage


def mixture_json(mixture: Mixture) -> dict[str, Any]:
    """Scales and weights as lists, and the law of conserved responses."""
    law = None if mixture.conserved is None else asdict(mixture.conserved)
    return {"scales": list(mixture.scales), "weights": mixture.weights.tolist(), "conserved": law}


def mixture_from(stored: Mapping[str, Any]) -> Mixture:
    """What `mixture_json` gave."""
    law = stored["conserved"]
    conserved = None
    if law is not None:
        conserved = Conserved(law["rate"], law["spread"], tuple(law["scales"]), tuple(law["own"]))
    return Mixture(tuple(stored["scales"]), np.asarray(stored["weights"], dtype=np.float64), conserved)


def settings_json(settings: Settings) -> dict[str, Any]:
    """All settings save the genes' variances, which are an array."""
    return {
        "unit": settings.unit,
        "common_variance": settings.common_variance,
        "strength": settings.strength,
        "part_coefficient": settings.part_coefficient,
        "interaction_variance": settings.interaction_variance,
        "typical_slope": settings.typical_slope,
        "level_slope": settings.level_slope,
        "recalibrations": {kind: asdict(learned) for kind, learned in settings.recalibrations.items()},
        **{name: _stage_json(getattr(settings, name)) for name in ("common", "specific", "interaction", "features")},
    }


def settings_from(stored: Mapping[str, Any], gene_variance: np.ndarray) -> Settings:
    """What `settings_json` gave, with the genes' variances."""
    stages = {name: _stage_from(stored[name]) for name in ("common", "interaction", "features")}
    return Settings(
        unit=stored["unit"],
        gene_variance=gene_variance,
        common_variance=stored["common_variance"],
        strength=dict(stored["strength"]),
        specific=_known_stage(stored["specific"]),
        part_coefficient=stored["part_coefficient"],
        interaction_variance=stored["interaction_variance"],
        typical_slope=stored["typical_slope"],
        level_slope=stored["level_slope"],
        recalibrations={
            kind: _recalibration_from(learned)
            for kind, learned in stored.get("recalibrations", {}).items()
            if "agreements" in learned
        },
        **stages,
    )


def _stage_json(stage: Stage | None) -> dict[str, Any] | None:
    if stage is None:
        return None
    trust = stage.trust
    return {
        **mixture_json(stage.mixture),
        "slope": trust.slope,
        "nugget": trust.nugget,
        "inflation": trust.inflation,
        "private": [[context, *share.tolist()] for context, share in stage.private.shares.items()],
    }


def _known_stage(stored: Mapping[str, Any]) -> Stage:
    trust = Trust(stored["slope"], stored["nugget"], stored["inflation"])
    shares = {int(context): np.asarray(share) for context, *share in stored["private"]}
    mixture = mixture_from(stored)
    return Stage(mixture, trust, Private(mixture.scales, shares))


def _stage_from(stored: Mapping[str, Any] | None) -> Stage | None:
    return None if stored is None else _known_stage(stored)


def _recalibration_from(stored: Mapping[str, Any]) -> Recalibration:
    changes = tuple((slope, stretch) for slope, stretch in stored["changes"])
    weights = tuple(map(tuple, stored["weights"]))
    return Recalibration(tuple(stored["log_sizes"]), changes, weights, tuple(stored["agreements"]))
