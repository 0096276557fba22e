"""The Virtual Cell Challenge's yardstick: real counts profiled once, predictions against them, the scale."""
