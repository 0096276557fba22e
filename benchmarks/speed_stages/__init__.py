"""One stage of CycSeq, one file: its own side, its peers' and what the machine could do at best. `speed.py` runs them."""
