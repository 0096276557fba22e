"""Models x splits x seeds: one table, computed once, resumed where it was interrupted."""
