"""Where annotators run."""
