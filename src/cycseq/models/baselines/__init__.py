"""Simple models, ordinary ones in every respect: what any other has to beat."""
