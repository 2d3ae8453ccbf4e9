"""The vision tower in OpenVINO, a peer of `benchmarks.busy` where the package is installed."""

import importlib.util
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.measuring import Prepare
from benchmarks.random_models import SIDE
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model.weights import load_network


def contestants(folder: Path, count: int) -> dict[str, Prepare]:
    """By name; none without OpenVINO (`pip install openvino`)."""
    if importlib.util.find_spec("openvino") is None:
        return {}
    formats = {"float32": "f32", "bfloat16": "bf16"}
    return {f"OpenVINO, {k}": partial(_prepare, folder, count, v) for k, v in formats.items()}


def _prepare(folder: Path, count: int, precision: str) -> Callable[[], int]:
    import openvino

    network = load_network(checkpoints.find(str(folder)), torch.float32)
    shape = (count, 3, SIDE, SIDE)
    graph = openvino.convert_model(_Tower(network), example_input=torch.zeros(shape), input=shape)
    compiled = openvino.compile_model(graph, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)

    def run() -> int:
        compiled(noise)
        return 0

    return run


class _Tower(nn.Module):
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.model = network.model

    def forward(self, pixels: Tensor) -> Tensor:
        """Image features (images, image tokens, d_model) of normalised pixels (images, 3, S, S)."""
        states = self.model.vision_tower(pixels).last_hidden_state
        features: Tensor = self.model.multi_modal_projector(states)
        return features
