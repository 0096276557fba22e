"""Training of any network: `loop.train` and what it keeps. Importing `loop` imports Lightning, which takes seconds."""
