"""Annotators on several devices, or on the machines of a cluster, by Ray's actors."""
