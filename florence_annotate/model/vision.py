"""The vision tower: pixels → image features, with the modules and weights of transformers.

The arithmetic is DaViT's (https://arxiv.org/abs/2204.03645) as transformers' `Florence2Model`
does it; a test holds it to that. It is faster by three things:

- Tensors keep the shape (image, height, width, channel) from the first convolution to the last;
  convolutions see the same memory as channels-last. transformers permutes them twice in each block.
- Channel attention is a matrix of C/g by C/g for each of g groups, small beside the values. It is
  multiplied into the output projection first, so that the values pass through one product only.
- The positions of a window are gathered once; they are put back as part of the residual sum.

On CUDA kernels of our own go further (`vision_fused`).
"""

from collections.abc import Callable
from typing import Any

import torch
from einops import rearrange
from torch import Tensor

from florence_annotate.model import kernels
from florence_annotate.model.attention import Attend
from florence_annotate.model.vision_blocks import Stage


def stage_sides(config: Any, side: int) -> list[int]:
    """Cells along a side after each stage of a `vision_config`, for images of `side` pixels."""
    sides = []
    for size, stride, padding in zip(
        config.patch_size, config.patch_stride, config.patch_padding, strict=True
    ):
        side = (side + 2 * padding - size) // stride + 1
        sides.append(side)
    return sides


_MOST_WINDOWS = (1 << 16) - 1
"""The attention kernels that CUDA has run one window in each layer of a grid, which has so many."""
_MOST_VALUES = (1 << 31) - 2
"""Depthwise convolutions on CUDA count the values of a tensor in 32 bits."""


def images_at_once(config: Any, side: int) -> int:
    """How many images of `side` pixels the tower of a `vision_config` may take together."""
    most: list[int] = []
    for cells, channels in zip(stage_sides(config, side), config.embed_dim, strict=True):
        windows = -(-cells // config.window_size)
        most.append(min(_MOST_WINDOWS // windows**2, _MOST_VALUES // (cells**2 * channels)))
    return max(1, min(most))


class VisionTower:
    """Pixels (images, 3, S, S), uint8 → features (images, 1 + cells, d_model).

    The first feature is pooled from all cells of the last stage.
    """

    def __init__(
        self, network: Any, attend: Attend, mean: tuple[float, ...], std: tuple[float, ...]
    ) -> None:
        """`network` is a `Florence2ForConditionalGeneration`; mean and std are of RGB in [0, 1]."""
        tower = network.model.vision_tower.to(memory_format=torch.channels_last)
        self._config = network.config.vision_config
        self._projector = network.model.multi_modal_projector
        weight = tower.convs[0].conv.weight
        self._dtype = weight.dtype
        stage = _stage_class(weight)
        self.has_own_kernels = stage is not Stage
        self._stages: list[Callable[[Tensor], Tensor]] = [
            stage(embed, blocks, attend)
            for embed, blocks in zip(tower.convs, tower.blocks, strict=True)
        ]
        self._scale = (1 / (255 * torch.tensor(std))).to(weight.device).view(3, 1, 1)
        self._shift = (-torch.tensor(mean) / torch.tensor(std)).to(weight.device).view(3, 1, 1)

    def __call__(self, pixels: Tensor) -> Tensor:
        parts = torch.split(pixels, images_at_once(self._config, pixels.shape[3]))
        features = [self._encode(part) for part in parts]
        return features[0] if len(features) == 1 else torch.cat(features)

    def _encode(self, pixels: Tensor) -> Tensor:
        states = torch.addcmul(self._shift, pixels, self._scale).to(self._dtype)
        states = rearrange(states, "n c h w -> n h w c")
        for stage in self._stages:
            states = stage(states)
        features: Tensor = self._projector(rearrange(states, "n h w c -> n c h w"))
        return features


def _stage_class(weight: Tensor) -> Callable[[Any, Any, Attend], Callable[[Tensor], Tensor]]:
    """What runs a stage of a tower with weights of this kind."""
    if not kernels.suit(weight):
        return Stage
    from florence_annotate.model.vision_fused import FusedStage  # it loads Triton

    return FusedStage
