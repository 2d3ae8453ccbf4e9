"""Where a checkpoint is, and what its files say about it."""
