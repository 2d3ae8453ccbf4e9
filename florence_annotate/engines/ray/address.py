"""Where an address leads: Ray itself would try for minutes, and for ever where another answers."""

import os
import socket

from florence_annotate.engines.ray import internals
from florence_annotate.errors import EngineError

_ANSWER_SECONDS = 10.0
_SETTINGS = 4
_HEAD = 9
"""Bytes of a frame's head, of which the fourth is its type (RFC 9113, section 4.1)."""
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, _SETTINGS, 0, 0, 0, 0, 0])
"""A client's first words, which a server answers with its settings (section 3.4)."""


def settle(address: str) -> str:
    """The `HOST:PORT` of `auto`, or of an address, where a cluster of Ray may be.

    Raises EngineError where none is.
    """
    # nothing public tells what `auto` means without going there
    canonical = internals.part("services", "canonicalize_bootstrap_address_or_die")
    try:
        found = str(canonical(address))
        host, _, port = found.rpartition(":")
        with socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS) as there:
            if os.environ.get("RAY_USE_TLS", "0") == "0" and not _speaks_http2(there):
                raise ConnectionError(
                    f"{found} answers, but not as Ray's own port does, which is 6379 unless 'ray "
                    "start' was given another"
                )
    except (OSError, ValueError) as error:
        told = " ".join(str(error).split())
        raise EngineError(f"{no_cluster(address)} ({told})") from error
    return found


def no_cluster(address: str) -> str:
    """What is told where a cluster can't be joined, and what to do."""
    return (
        f"--address {address}: no Ray cluster could be joined: start one with 'ray start --head' "
        "(docs/scale.md), or leave --address out"
    )


def _speaks_http2(there: socket.socket) -> bool:
    """As Ray's port does, over gRPC. Raises OSError where nothing is said in time."""
    there.sendall(_PREFACE)
    head = b""
    while len(head) < _HEAD and (more := there.recv(_HEAD - len(head))):
        head += more
    return len(head) == _HEAD and head[3] == _SETTINGS
