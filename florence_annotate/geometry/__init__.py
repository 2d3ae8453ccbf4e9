"""Boxes, polygons and location tokens: arithmetic without a model or a file."""
