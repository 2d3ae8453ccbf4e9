"""Loads a checkpoint's tensors into transformers' network, and refuses what does not fit.

Tensors come from safetensors, or from PyTorch files that are loaded with `weights_only=True`, so
that no code of a checkpoint is ever run. They may be in one file, or in shards with an index.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from florence_annotate.checkpoints import adapter
from florence_annotate.checkpoints.files import weight_files
from florence_annotate.errors import CheckpointError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from florence_annotate.checkpoints.checkpoint import Checkpoint

_PROBLEMS = ("missing_keys", "unexpected_keys", "mismatched_keys")


def load_network(checkpoint: "Checkpoint", dtype: "torch.dtype") -> Any:
    """transformers' `Florence2ForConditionalGeneration` on the CPU, with the checkpoint's adapter
    merged.

    Raises CheckpointError where a tensor is missing, unexpected or of another shape: such a model
    would give wrong answers without an error.
    """
    from transformers import Florence2Config, Florence2ForConditionalGeneration
    from transformers.utils import logging

    from florence_annotate.model.memory import is_out_of_memory

    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    # what it would say is in its report, or fine: an `lm_head` of its own is no mistake
    logging.set_verbosity_error()
    try:
        tensors = checkpoint.layout.native_tensors(dict(_load_tensors(checkpoint)))
        network, report = Florence2ForConditionalGeneration.from_pretrained(
            None,
            config=Florence2Config(**checkpoint.config),
            state_dict=tensors,
            dtype=dtype,
            attn_implementation="sdpa",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, with the names
        )
    except CheckpointError:
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"can't load {checkpoint.name} ({type(error).__name__}: {error}): is the download "
            "complete?"
        ) from error
    finally:
        logging.set_verbosity(verbosity)
    for problem in _PROBLEMS:
        names = sorted(str(key) for key in report[problem])
        if names:
            raise CheckpointError(
                f"{checkpoint.name} does not fit its configuration: {problem.replace('_', ' ')} "
                f"{', '.join(names[:3])}{' …' if len(names) > 3 else ''} ({len(names)} in all). "
                "Its answers would be wrong without a sign; get the checkpoint again"
            )
    network.generation_config = _generation_config(checkpoint)
    if checkpoint.adapter is not None:
        adapter.merge(checkpoint.adapter, network)
    return network.eval()


def _load_tensors(checkpoint: "Checkpoint") -> "Iterator[tuple[str, Tensor]]":
    import torch
    from safetensors.torch import load_file

    for file in weight_files(checkpoint.folder):
        if file.suffix == ".safetensors":
            yield from load_file(file).items()
        else:
            yield from torch.load(file, map_location="cpu", weights_only=True).items()


def _generation_config(checkpoint: "Checkpoint") -> Any:
    """The checkpoint's own settings, for transformers' `generate`."""
    from transformers import GenerationConfig

    settings = checkpoint.generation
    decoding = settings.decoding
    return GenerationConfig(
        decoder_start_token_id=decoding.start,
        eos_token_id=decoding.end,
        pad_token_id=decoding.pad,
        forced_bos_token_id=decoding.forced_first,
        forced_eos_token_id=decoding.forced_last,
        early_stopping=decoding.early_stopping,
        num_beams=settings.num_beams,
        no_repeat_ngram_size=settings.no_repeat_ngram,
    )
