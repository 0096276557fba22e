"""Files written whole or not at all, read within limits; HDF5, checksums, downloads, signals, progress."""
