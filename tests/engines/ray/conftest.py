"""A cluster of Ray whose machines are processes here. Ray is imported by those tests alone."""

import contextlib
import logging
from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def cluster() -> Iterator[Any]:
    """A head without cores; tests add machines."""
    from ray.cluster_utils import Cluster

    from florence_annotate.engines.ray import session

    with pytest.MonkeyPatch.context() as patched:
        with contextlib.suppress(ImportError):  # an older Ray takes no token of its own accord
            from ray._private.authentication.authentication_token_setup import _enable_token_auth

            # a process that once had a token goes on with it, and then all others need it too
            patched.setenv("RAY_AUTH_TOKEN", session.TOKEN)
            patched.setenv("RAY_AUTH_MODE", "token")
            _enable_token_auth()
        yield from _cluster(Cluster)


def _cluster(kind: Any) -> Iterator[Any]:
    logging.getLogger("ray").setLevel(logging.CRITICAL)
    head = {"num_cpus": 0, "include_dashboard": False}
    whole = kind(initialize_head=True, head_node_args=head)
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
