"""What a response means: genes that differ, pathways that move, and whether the stated uncertainty holds."""
