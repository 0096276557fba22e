"""`PerturbationData`: cells with their conditions and scale, checked once; what is believed of every gene."""
