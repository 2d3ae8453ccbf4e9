"""Where an address leads. Addresses that are Ray's are those of the other tests here."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from florence_annotate.errors import EngineError

pytest.importorskip("ray")
pytestmark = pytest.mark.ray


@pytest.fixture
def page() -> Iterator[int]:
    """The port of a server of pages, as Ray's dashboard is one."""
    with HTTPServer(("", 0), BaseHTTPRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.fixture
def mute() -> Iterator[int]:
    """A port where somebody listens and says nothing."""
    with socket.create_server(("", 0)) as server:
        yield server.getsockname()[1]


def test_a_port_that_is_not_rays_is_told_and_not_waited_for(page: int) -> None:
    from florence_annotate.engines.ray.address import settle

    with pytest.raises(
        EngineError, match=rf"^--address 127.0.0.1:{page}: no Ray cluster could be "
    ):
        settle(f"127.0.0.1:{page}")


def test_a_port_where_nothing_is_said_is_given_up(
    mute: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from florence_annotate.engines.ray import address

    monkeypatch.setattr(address, "_ANSWER_SECONDS", 0.2)
    with pytest.raises(EngineError, match=r"could be joined: .* \(timed out\)"):
        address.settle(f"127.0.0.1:{mute}")
