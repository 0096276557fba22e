"""Networks: blocks and losses, the one training loop, the one feeder of minibatches, and the models."""
