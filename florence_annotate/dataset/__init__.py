"""Journal + policy → annotated images."""
