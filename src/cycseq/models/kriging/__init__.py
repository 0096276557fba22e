"""ConditionKriging and its numerics."""
