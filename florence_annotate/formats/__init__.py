"""The dataset's files: one module a format."""
