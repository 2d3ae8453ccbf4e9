"""Loads a checkpoint's tensors into transformers' network, and refuses what does not fit.

The files are read by `model/tensors`; there may be one, or shards with an index.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from florence_annotate.checkpoints import adapter
from florence_annotate.checkpoints.files import weight_files
from florence_annotate.errors import CheckpointError
from florence_annotate.model.tensors import read_tensors, refuse_whole_numbers

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from florence_annotate.checkpoints.checkpoint import Checkpoint

_PROBLEMS = ("missing_keys", "unexpected_keys", "mismatched_keys")
_WRAPPERS = ("module.", "_orig_mod.", "base_model.model.")
"""What DataParallel, torch.compile and peft put before the names of all tensors."""
_SHOWN = 200
"""Characters of a message of transformers that are shown."""


def network_config(checkpoint: "Checkpoint") -> Any:
    """transformers' `Florence2Config`. Raises CheckpointError for one that it refuses."""
    from transformers import Florence2Config

    try:
        return Florence2Config(**checkpoint.config)
    except Exception as error:
        raise _refused_by_transformers(checkpoint, error) from error


def load_network(checkpoint: "Checkpoint", dtype: "torch.dtype") -> Any:
    """transformers' `Florence2ForConditionalGeneration` on the CPU, with the checkpoint's adapter
    merged.

    Raises CheckpointError where a tensor is missing, unexpected or of another shape: such a model
    would give wrong answers without an error.
    """
    from transformers import Florence2ForConditionalGeneration
    from transformers.utils import logging

    from florence_annotate.model.memory import is_out_of_memory

    config = network_config(checkpoint)
    read = dict(_load_tensors(checkpoint))
    _refuse_wrapped(read, checkpoint.name)
    tensors = checkpoint.layout.native_tensors(read)
    refuse_whole_numbers(tensors, checkpoint.name)
    logging.disable_progress_bar()
    verbosity = logging.get_verbosity()
    # what it would say is in its report, or fine: an `lm_head` of its own is no mistake
    logging.set_verbosity_error()
    try:
        network, report = Florence2ForConditionalGeneration.from_pretrained(
            None,
            config=config,
            state_dict=tensors,
            dtype=dtype,
            attn_implementation="sdpa",
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # reported below, with the names
        )
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise _refused_by_transformers(checkpoint, error) from error
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
        weights = read_tensors(adapter.files(checkpoint.adapter)[1])
        refuse_whole_numbers(weights, f"the adapter {checkpoint.adapter}")
        adapter.merge(checkpoint.adapter, weights, network)
    return network.eval()


def _load_tensors(checkpoint: "Checkpoint") -> "Iterator[tuple[str, Tensor]]":
    for file in weight_files(checkpoint.folder):
        yield from read_tensors(file).items()


def _refuse_wrapped(tensors: "Mapping[str, Tensor]", name: str) -> None:
    for wrapper in _WRAPPERS:
        if tensors and all(each.startswith(wrapper) for each in tensors):
            raise CheckpointError(
                f"{name} can't be read: the names of its tensors begin with {wrapper!r}: save it "
                "again without the wrapper"
            )


def _refused_by_transformers(checkpoint: "Checkpoint", error: Exception) -> CheckpointError:
    """What is wrong once the tensors themselves could be read."""
    reason = " ".join(str(error).split())[:_SHOWN]
    return CheckpointError(
        f"can't make the network of {checkpoint.name} ({type(error).__name__}: {reason}): take "
        "config.json from the checkpoint that this one was made from"
    )


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
