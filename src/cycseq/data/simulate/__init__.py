"""Simulated cells whose true responses and true pairs are known."""

from cycseq.data.simulate.generate import simulate, simulate_to
from cycseq.data.simulate.settings import WORLDS, SimulateSettings

__all__ = ["WORLDS", "SimulateSettings", "simulate", "simulate_to"]
