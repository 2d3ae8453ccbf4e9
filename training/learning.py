"""One training run: a step, what changes from step to step, and its state on disk."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from training import tokenizer
from training.asking import normalise
from training.batches import Batch
from training.cells import CellHead
from training.exchanges import Exchange
from training.initialisation import begin_with, initialise
from training.losses import sequence_loss, soft_bins

_CELLS_WEIGHT = 0.4
"""Of the loss of `training.cells`, at first."""

_TRAINED_MATURITY = 0.4
"""The maturity that a run begins with where it begins with a trained checkpoint."""

_WIDEST, _NARROWEST = 34.0, 3.0
"""Standard deviation of the location targets in bins, at first and in the end."""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that decides the result of a run."""

    out: Path
    steps: int = 8800
    seed: int = 0
    batch: int = 32
    rate: float = 1.2e-3
    """The highest learning rate."""
    warm_up: int = 100
    """Steps until the learning rate is at its highest."""
    easy_scenes: int = 20_000
    scenes: int = 60_000
    threads: int = 2
    save_seconds: float = 300.0
    validate_scenes: int = 100
    start: Path | None = None
    """A trained checkpoint to begin with, in the place of random weights."""


@dataclass(slots=True)
class Run:
    """A model in training."""

    options: Options
    words: Tokenizer
    model: Any
    cells: CellHead
    optimiser: torch.optim.AdamW
    step: int = 0
    location_targets: Tensor | None = None

    @classmethod
    def start(cls, options: Options, model: Any, words: Tokenizer) -> Self:
        """A fresh run. The weights of the `Florence2ForConditionalGeneration` are overwritten.

        Raises UsageError where the checkpoint to begin with has another architecture.
        """
        generator = torch.Generator().manual_seed(options.seed)
        initialise(model, tokenizer.first_location_id(words), generator)
        model.train()
        if options.start:
            begin_with(model, options.start, words)
        cells = CellHead(model.config.text_config.d_model)
        optimiser = torch.optim.AdamW(
            [*model.parameters(), *cells.parameters()],
            lr=options.rate,
            betas=(0.9, 0.98),
            weight_decay=0.01,
        )
        return cls(options, words, model, cells, optimiser)

    def rate(self) -> float:
        """The learning rate of the next step: warm-up, then half a cosine."""
        warm = min(1.0, (self.step + 1) / self.options.warm_up)
        return (
            self.options.rate
            * warm
            * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress())))
        )

    def progress(self) -> float:
        """The part of the run that is done, 0 to 1."""
        return min(1.0, self.step / max(1, self.options.steps))

    def maturity(self) -> float:
        """How far the model has come, 0 to 1: it decides what the scenes and targets are like."""
        begin = _TRAINED_MATURITY if self.options.start else 0.0
        return begin + (1 - begin) * self.progress()

    def train_step(self, batch: Batch) -> tuple[float, float, float]:
        """One step; gives the losses of text, of locations and of the cells."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        features = self.model.get_image_features(normalise(batch.pixels)).pooler_output
        by_cells = self.cells.loss(features, batch.truths, batch.is_legible)
        hidden, labels = [], []
        # answers of about one length are batched together, so that little is padding
        asked = sorted(batch.exchanges, key=lambda each: len(self.words.encode(each[1].answer)))
        for start in range(0, len(asked), self.options.batch):
            part = asked[start : start + self.options.batch]
            states, ids = self._decode(features[[row for row, _ in part]], [e for _, e in part])
            hidden.append(states)
            labels.append(ids)
        logits = self.model.lm_head(torch.cat(hidden))
        first = tokenizer.first_location_id(self.words)
        text, location = sequence_loss(logits, torch.cat(labels), first, self._soft_bins())
        # the cells help at the start; in the end only the answers count
        total = text + location + _CELLS_WEIGHT * (1 - self.maturity()) * by_cells
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return text.item(), location.item(), by_cells.item()

    def _decode(self, features: Tensor, exchanges: Sequence[Exchange]) -> tuple[Tensor, Tensor]:
        """The decoder's states where the answers' tokens are to be said, and those tokens."""
        prompts = _padded([e.ids for e in self.words.encode_batch([x.prompt for x in exchanges])])
        answers = _padded([e.ids for e in self.words.encode_batch([x.answer for x in exchanges])])
        language = self.model.model.language_model
        embeddings = torch.cat([features, language.shared(prompts)], dim=1)
        there = torch.ones(features.shape[:2], dtype=torch.long)
        mask = torch.cat([there, (prompts != tokenizer.PAD_ID).long()], dim=1)
        encoded = language.encoder(inputs_embeds=embeddings, attention_mask=mask)
        start = torch.full((len(exchanges), 1), tokenizer.EOS_ID)
        decoded = language.decoder(
            input_ids=torch.cat([start, answers[:, :-1]], dim=1),
            encoder_hidden_states=encoded.last_hidden_state,
            encoder_attention_mask=mask,
            use_cache=False,
        )
        counts = answers != tokenizer.PAD_ID
        return decoded.last_hidden_state[counts], answers[counts]

    def _soft_bins(self) -> Tensor:
        """The location targets: wide at first, so that near misses already teach."""
        if self.step % 25 == 0 or self.location_targets is None:
            sigma = _WIDEST * (_NARROWEST / _WIDEST) ** min(1.0, self.maturity() / 0.9)
            self.location_targets = soft_bins(sigma)
        return self.location_targets

    def save_state(self, file: Path) -> None:
        """Keep all that a resumed run needs; the choice of scenes follows from the step."""
        # named parameters come once each; the state dict would repeat the tied embeddings
        tensors = {f"model.{k}": v.detach() for k, v in self.model.named_parameters()}
        tensors |= {f"cells.{k}": v.detach() for k, v in self.cells.named_parameters()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
        partial = file.with_suffix(".partial")
        save_file(tensors, partial, {"step": str(self.step)})
        partial.replace(file)

    def load_state(self, file: Path) -> None:
        """Go on from what `save_state` kept."""
        with safe_open(file, "pt") as opened:
            self.step = int(opened.metadata()["step"])
            tensors = {key: opened.get_tensor(key) for key in opened.keys()}  # noqa: SIM118
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.copy_(tensors[f"model.{name}"])
            for name, parameter in self.cells.named_parameters():
                parameter.copy_(tensors[f"cells.{name}"])
        packed = self.optimiser.state_dict()
        for key, value in tensors.items():
            if key.startswith("optimiser."):
                _, index, name = key.split(".")
                packed["state"].setdefault(int(index), {})[name] = value
        self.optimiser.load_state_dict(packed)


def _padded(rows: Sequence[Sequence[int]]) -> Tensor:
    width = max(len(row) for row in rows)
    return torch.tensor([[*row, *[tokenizer.PAD_ID] * (width - len(row))] for row in rows])
