"""A finished dataset → a dataset repository on the hub, by its own client, with a card.

What is uploaded is what the hub's viewer and `datasets.load_dataset(REPO)` read: the Parquet tables
where the job has them, else the images with their `metadata.jsonl`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from florence_annotate.errors import ExportError, UsageError
from florence_annotate.formats.replacing import METADATA_NAME
from florence_annotate.types import SPLITS

_WAYS = {
    # format: folder in the output; in it, the path of a split's files, and of one that each has
    "parquet": ("parquet", "{split}.parquet", "{split}.parquet"),
    "imagefolder": ("images", "{split}/**", f"{{split}}/{METADATA_NAME}"),
}


def refuse_unpublishable(repository: str, formats: tuple[str, ...]) -> None:
    """Raise UsageError for a name that is none, and for formats that the hub has no reader for."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    if not repository.strip():
        raise UsageError(f"--push-to-hub: {repository!r} won't do: it is empty")
    try:
        validate_repo_id(repository)
    except HFValidationError as error:
        raise UsageError(f"--push-to-hub: {error}") from error
    if not set(formats) & set(_WAYS):
        raise UsageError(
            f"--push-to-hub: the hub reads {' and '.join(_WAYS)}, and this dataset is "
            f"{', '.join(formats)}: add --format {','.join([*formats, 'parquet'])}"
        )


def push(out: Path, repository: str, summary: Mapping[str, Any]) -> str:
    """Upload a dataset whose summary this is; returns its address.

    A repository that is not there is made, private. Raises ExportError where the hub refuses.
    """
    from huggingface_hub import HfApi

    folder, _, _ = _WAYS[_way(summary)]
    try:
        api = HfApi()
        address = api.create_repo(repository, repo_type="dataset", private=True, exist_ok=True)
        api.upload_folder(
            repo_id=repository,
            repo_type="dataset",
            folder_path=out / folder,
            path_in_repo=folder,
            delete_patterns=["*"],  # of an earlier upload, below this folder
            commit_message="Annotated with florence-annotate",
        )
        api.upload_file(
            path_or_fileobj=card(out, summary).encode("utf-8"),
            path_in_repo="README.md",
            repo_id=repository,
            repo_type="dataset",
            commit_message="Dataset card",
        )
    except Exception as error:  # the hub's client raises many kinds: network, rights, quota
        first = (str(error).strip().splitlines() or ["no answer"])[0]
        raise ExportError(
            f"can't upload to {repository} ({type(error).__name__}: {first}). The dataset is whole "
            f"in {out}; log in with 'hf auth login' and give --push-to-hub to export again"
        ) from error
    return str(address)


def card(out: Path, summary: Mapping[str, Any]) -> str:
    """The repository's README: where the data is, and how it was made."""
    folder, pattern, sign = _WAYS[_way(summary)]
    used = [split for split in SPLITS if (out / folder / sign.format(split=split)).exists()]
    files = [{"split": s, "path": f"{folder}/{pattern.format(split=s)}"} for s in used]
    head = {
        "tags": ["florence-2", "florence-annotate"],
        "configs": [{"config_name": "default", "data_files": files}],
    }
    bound = summary["fingerprint"]
    questions = [" ".join(filter(None, question)) for question in bound["questions"]]
    counts = summary["classes"].items()
    classes = ["| {} | {} |".format(name.replace("|", r"\|"), count) for name, count in counts]
    return "\n".join(
        [
            f"---\n{yaml.safe_dump(head, sort_keys=False, allow_unicode=True)}---",
            f"# {summary['images']['annotated']} images annotated with Florence-2\n",
            "The annotations were made by a model and may be wrong; each has a score. Add the "
            "licence of the images, which nobody but you knows.\n",
            f"- checkpoint: {bound['model']}"
            + (f" at {bound['revision']}" if bound["revision"] else "")
            + f", weights {bound['weights'][:16]}…, {bound['dtype']}",
            f"- questions: {json.dumps(questions, ensure_ascii=False)}",
            f"- made by florence-annotate {summary['version']}, transformers "
            f"{summary['versions']['transformers']}\n",
            *(["| class | instances |", "| --- | --- |", *classes] if classes else []),
            "",
        ]
    )


def _way(summary: Mapping[str, Any]) -> str:
    return next(name for name in _WAYS if name in summary["formats"])
