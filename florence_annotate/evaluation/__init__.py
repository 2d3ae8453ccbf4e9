"""How good labels are: a dataset held to what is true of its images."""
