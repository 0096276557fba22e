"""Tables of effects: how they are told from cells, read, described and joined."""
