"""Settings of a model chosen by nested validation: the test part of a split takes no part."""
