"""From checked cells to what models learn from: cells, genes, normalisation, merging, ComBat, metacells, responses."""
