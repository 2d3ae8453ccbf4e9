"""Measurements. `python -m benchmarks.NAME` from the repository's root; results in `results/`."""
