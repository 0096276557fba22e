"""Blocks of networks and losses: pure torch, no training loop, no AnnData."""
