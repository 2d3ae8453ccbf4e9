"""A cluster of Ray whose machines are processes here. Ray is imported by those tests alone."""

import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head without cores; tests add machines."""
    from ray.cluster_utils import Cluster

    logging.getLogger("ray").setLevel(logging.CRITICAL)
    head = {"num_cpus": 0, "include_dashboard": False}
    whole = Cluster(initialize_head=True, head_node_args=head)
    yield whole
    whole.shutdown()


@pytest.fixture
def machine(cluster: Any) -> Iterator[Any]:
    """One with two cores."""
    node = cluster.add_node(num_cpus=2)
    yield node
    cluster.remove_node(node)


@pytest.fixture
def session(cluster: Any) -> Iterator[Any]:
    """Joined to the cluster."""
    from florence_annotate.engines.ray.session import Session

    joined = Session(cluster.address)
    yield joined
    joined.close()
