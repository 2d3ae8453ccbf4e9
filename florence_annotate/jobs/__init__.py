"""One run of a job, from its settings to its dataset."""
