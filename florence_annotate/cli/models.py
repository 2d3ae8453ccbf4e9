"""`florence-annotate models`."""

from typing import Annotated, Any

import typer

from florence_annotate.cli import ending, flags


def list_models(
    model: Annotated[
        str | None,
        typer.Argument(
            help="Tell about one checkpoint instead: a short name, a hub id that was fetched, or a "
            "folder.",
            metavar="[MODEL]",
        ),
    ] = None,
    as_json: flags.AsJson = False,
) -> None:
    """List the known checkpoints: size, licence, memory, and where they are.

    Of a checkpoint that is given: how its files are read, and which of them says what.
    """
    if model is not None:
        _tell(model, as_json=as_json)
        return
    rows = _describe()
    if as_json:
        ending.print_json(rows)
        return
    line = "{:9} {:>10} {:>8} {:>9} {:8} {}"
    typer.echo(line.format("model", "parameters", "float32", "bfloat16", "licence", "what"))
    for row in rows:
        memory = [f"{row[f'{dtype}_bytes'] / 2**30:.2f} GiB" for dtype in ("float32", "bfloat16")]
        size = f"{row['parameters'] / 1e6:.1f} M"
        typer.echo(line.format(row["name"], size, *memory, row["licence"], row["about"]))
    for row in rows:
        typer.echo(f"{row['name']}: {row['where']}")
    typer.echo(
        "--model also takes a hub id or a folder, in the layout of transformers or the original "
        "one, and --adapter a LoRA adapter. Memory is that of the weights; a batch takes its own."
    )


def _describe() -> list[dict[str, Any]]:
    from florence_annotate.checkpoints.known import KNOWN

    return [
        {
            "name": name,
            "repository": known.repository or None,
            "original": known.original or None,
            "parameters": known.parameters,
            "licence": known.licence,
            "float32_bytes": known.memory(4),
            "bfloat16_bytes": known.memory(2),
            "about": known.about,
            "where": where(name),
        }
        for name, known in KNOWN.items()
    ]


def _tell(name: str, *, as_json: bool) -> None:
    """What the files of one checkpoint come to. Raises CheckpointError for what is none."""
    from florence_annotate.checkpoints import checkpoint

    found = checkpoint.find(name, download=False)
    own = found.generation
    settings = {
        setting: {"value": value, "from": own.origins[setting]}
        for setting, value in own.described().items()
    }
    rows: dict[str, Any] = {
        "name": found.name,
        "folder": str(found.folder),
        "revision": found.revision,
        "layout": found.layout.name,
        "image_size": found.image_size,
        "longest_answer": found.max_new_tokens,
        "known_labels": len(found.known_labels),
    }
    if as_json:
        ending.print_json(
            {**rows, "generation": settings, "contradictions": list(own.contradictions)}
        )
        return
    for label, value in rows.items():
        if value is not None:
            typer.echo(f"{label.replace('_', ' '):16} {value}")
    typer.echo("its own settings of generation:")
    for setting, row in settings.items():
        typer.echo(f"  {setting:16} {row['value']!s:6} {row['from']}")
    for contradiction in own.contradictions:
        typer.echo(f"its files contradict each other: {contradiction}")


def where(name: str) -> str:
    """Where a checkpoint is, or what would happen for it."""
    from florence_annotate.checkpoints import checkpoint
    from florence_annotate.checkpoints.known import KNOWN, hub_id
    from florence_annotate.errors import CheckpointError

    try:
        found = checkpoint.find(name, download=False)
    except CheckpointError as error:
        if name in KNOWN:
            return f"not here yet: {hub_id(name)} is fetched when first used"
        return str(error)
    return f"found in {found.folder}"
