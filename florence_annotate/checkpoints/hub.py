"""Fetches checkpoints and adapters from the hub to its local cache, by the hub's own client."""

from pathlib import Path

from florence_annotate.errors import CheckpointError

_FILES = ("*.json", "*.txt", "*.safetensors")
_PYTORCH_FILES = ("*.bin",)
"""Fetched only where there are no safetensors."""


def fetch(repository: str, revision: str | None, download: bool) -> Path:
    """The folder of a repository's files in the hub's local cache; its name is the commit.

    Without `download`, only the cache is looked at. Raises CheckpointError where the repository is
    not in it and can't be fetched.
    """
    folder = _snapshot(repository, revision, download, _FILES)
    if any(folder.glob("*.safetensors")) or not download:
        return folder
    return _snapshot(repository, revision, download, (*_FILES, *_PYTORCH_FILES))


def _snapshot(
    repository: str, revision: str | None, download: bool, patterns: tuple[str, ...]
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(
            snapshot_download(
                repository,
                revision=revision,
                allow_patterns=list(patterns),
                local_files_only=not download,
            )
        )
    except HFValidationError as error:
        raise CheckpointError(f"{repository!r} is no valid name on the hub: {error}") from error
    except Exception as error:  # the hub's client raises many kinds: network, rights, absence
        where = f"{repository}@{revision}" if revision else repository
        if not download:
            raise CheckpointError(
                f"there is no folder {where} here, nor a checkpoint of that name in the hub's "
                "cache: check the spelling; 'run' fetches a hub id when it is first used"
            ) from error
        summary = str(error).strip().splitlines()[0] if str(error).strip() else "no answer"
        raise CheckpointError(
            f"can't get the checkpoint {where} from the hub ({type(error).__name__}: {summary}). "
            "Where the hub can't be reached, copy its files here and give the folder: "
            "--model ./folder"
        ) from error
