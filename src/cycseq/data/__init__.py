"""Files in, checked data out: reading, preparing, splitting, simulating."""
