"""What made the embedded checkpoint: `python -m training.train`. Not part of the package."""
