"""Boxes, polygons and locations."""
