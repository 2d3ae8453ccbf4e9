"""What binds a job to itself: settings and content that would change the answers."""

import hashlib
import json
from pathlib import Path
from typing import Any

from florence_annotate.errors import FingerprintError
from florence_annotate.questions.texts import SIDECAR

Fingerprint = dict[str, Any]
"""Bound settings, resolved, as JSON values."""


def refuse_other(bound: Fingerprint, asked: Fingerprint, where: Path) -> None:
    """Raise FingerprintError where a setting that binds the job has another value now."""
    for name in sorted(bound.keys() | asked.keys()):
        if bound.get(name) != asked.get(name):
            raise FingerprintError(
                f"{where} was begun with {_SAID.get(name, name)} = {_short(bound.get(name))}, and "
                f"now it is {_short(asked.get(name))}: its pictures would not be annotated alike. "
                "Go on with the first value, choose another output with -o, or begin again with "
                "--restart"
            )


_SAID = {"inputs": "the content of --texts or --regions"}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else f"{text[:150]}… ({len(text)} characters)"


def digest(source: str | None) -> str | None:
    """SHA-256 of what was given, so that a job is bound to it; None for sidecars and nothing."""
    if source is None or source == SIDECAR:
        return None
    path = Path(source)
    files = [path]
    if path.is_dir():
        files = [path / "data.yaml", *sorted((path / "labels").rglob("*.txt"))]
    total = hashlib.sha256()
    for file in files:
        total.update(f"{file.relative_to(path)}\0".encode())
        total.update(file.read_bytes())
    return total.hexdigest()
