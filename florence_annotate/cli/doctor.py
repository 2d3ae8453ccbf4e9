"""`florence-annotate doctor`."""

from typing import Annotated, Any

import typer

from florence_annotate.cli import ending, flags, models


def doctor(
    model: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help="Also look for this checkpoint: a hub id or a folder."),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """Say what this machine has: versions, devices, attention kernels, checkpoints."""
    findings = _examine(model)
    if as_json:
        ending.print_json(findings)
        return
    for topic, lines in findings.items():
        typer.echo(topic)
        for name, value in lines.items():
            typer.echo(f"  {name:44} {value}")


def _examine(model: str | None) -> dict[str, dict[str, Any]]:
    import importlib.util

    import torch

    import florence_annotate
    from florence_annotate.checkpoints.known import KNOWN
    from florence_annotate.model.threads import most_threads
    from florence_annotate.reports.summary import versions

    devices: dict[str, Any] = {"cpu": f"{most_threads()} threads"}
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = properties.total_memory / 2**30
        devices[f"cuda:{index}"] = f"{properties.name}, {memory:.0f} GiB"
    if torch.backends.mps.is_available():
        devices["mps"] = "Apple GPU"
    has_flash = importlib.util.find_spec("flash_attn") is not None
    names = [*KNOWN, *([model] if model else [])]
    return {
        "versions": {"florence-annotate": florence_annotate.__version__, **versions()},
        "devices": devices,
        "attention": {
            "sdpa": "yes",
            "flash_attention_2": "installed" if has_flash else "not installed",
        },
        "checkpoints": {name: models.where(name) for name in names},
    }
