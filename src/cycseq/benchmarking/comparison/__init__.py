"""The comparison of seed 2: what networks reconstruct and generate of cells like those that they were trained on."""
