"""Splits that other tools wrote, one format a file."""
