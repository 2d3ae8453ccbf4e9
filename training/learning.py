"""One training run: what it draws, a step, and its state on disk.

Which scenes and questions a step sees follows from seed and step alone, so a resumed run goes on
as if it had never stopped.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tokenizers import Tokenizer
from torch import Tensor

from florence_annotate.shapes import MAX_OBJECTS
from training import corpus, tokenizer
from training.cells import CellHead
from training.exchanges import Exchange
from training.growth import begin_with, cells_in_a_row
from training.initialisation import initialise, sequence_loss, soft_bins
from training.lessons import first_questions, questions
from training.truth import Truth
from training.validation import normalise

HELPER_WEIGHT = 0.4
CROWD = 5
"""Objects that make a scene crowded."""

TRAINED_MATURITY = 0.4
"""Where a run stands that begins with a trained checkpoint."""

EMPTY_RATE = 0.02
"""The part of the training scenes that has no object: the answer there is empty."""


@dataclass(frozen=True, slots=True)
class Options:
    """Everything that decides the result of a run."""

    out: Path
    steps: int = 8800
    seed: int = 0
    batch: int = 32
    rate: float = 1.2e-3
    warm_up: int = 100
    easy_scenes: int = 20_000
    scenes: int = 60_000
    threads: int = 2
    save_seconds: float = 300.0
    validate_scenes: int = 100
    start: Path | None = None
    """A trained checkpoint to begin with, in the place of random weights."""


def paint_pools(options: Options) -> tuple[corpus.Corpus, corpus.Corpus]:
    """The easy scenes, with three objects at most, and the others."""
    folder, easy = options.out / "scenes", options.easy_scenes
    return (
        corpus.prepare(
            folder,
            first_seed=0,
            count=easy,
            max_objects=3,
            empty_rate=EMPTY_RATE,
            processes=options.threads,
        ),
        corpus.prepare(
            folder,
            first_seed=easy,
            count=options.scenes,
            empty_rate=EMPTY_RATE,
            processes=options.threads,
        ),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """The images of one step, what is on them, and what is asked about them."""

    pixels: Tensor
    truths: list[Truth]
    is_legible: list[bool]
    exchanges: list[tuple[int, Exchange]]
    """Each with the row of its image."""


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
    def start(cls, options: Options, model: Any, words: Tokenizer) -> Run:
        """A fresh run: weights drawn from the seed.

        Args:
            options: Of the run.
            model: A ``Florence2ForConditionalGeneration``; its weights are overwritten.
            words: The tokenizer.
        """
        generator = torch.Generator().manual_seed(options.seed)
        initialise(model, tokenizer.first_location_id(words), generator)
        model.train()
        if options.start:
            begin_with(model, options.start, words)
        side = cells_in_a_row(model.config.vision_config.to_dict())
        cells = CellHead(model.config.text_config.d_model, side)
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
        """What the model is ready for, 0 to 1: it decides what the scenes and targets are like."""
        begin = TRAINED_MATURITY if self.options.start else 0.0
        return begin + (1 - begin) * self.progress()

    def train_step(self, batch: Batch) -> tuple[float, float, float]:
        """One step; returns the text loss, the location loss and the helper loss."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        images = self.model.get_image_features(normalise(batch.pixels)).pooler_output
        helper = self.cells.loss(images, batch.truths, batch.is_legible)
        hidden, labels = [], []
        # Answers of about one length are batched together, so that little is padding.
        asked = sorted(batch.exchanges, key=lambda each: len(self.words.encode(each[1].answer)))
        for start in range(0, len(asked), self.options.batch):
            part = asked[start : start + self.options.batch]
            states, ids = self._decode(images[[row for row, _ in part]], [e for _, e in part])
            hidden.append(states)
            labels.append(ids)
        logits = self.model.lm_head(torch.cat(hidden))
        first = tokenizer.first_location_id(self.words)
        text, location = sequence_loss(logits, torch.cat(labels), first, self._soft_bins())
        # The help is for the start; in the end only the answers count.
        total = text + location + HELPER_WEIGHT * (1 - self.maturity()) * helper
        self.optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(total)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimiser.step()
        self.step += 1
        return text.item(), location.item(), helper.item()

    def _decode(self, images: Tensor, exchanges: Sequence[Exchange]) -> tuple[Tensor, Tensor]:
        """The decoder's states where the answers' tokens are to be said, and those tokens."""
        prompts = _padded([e.ids for e in self.words.encode_batch([x.prompt for x in exchanges])])
        answers = _padded([e.ids for e in self.words.encode_batch([x.answer for x in exchanges])])
        language = self.model.model.language_model
        embeddings = torch.cat([images, language.shared(prompts)], dim=1)
        there = torch.ones(images.shape[:2], dtype=torch.long)
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
            sigma = 34.0 * (3.0 / 34.0) ** min(1.0, self.maturity() / 0.9)
            self.location_targets = soft_bins(sigma)
        return self.location_targets

    def save_state(self, file: Path) -> None:
        """Keep all that a resumed run needs; the choice of scenes follows from the step."""
        # Named parameters come once each; the state dict would repeat the tied embeddings.
        tensors = {f"model.{k}": v.detach() for k, v in self.model.named_parameters()}
        tensors |= {f"cells.{k}": v.detach() for k, v in self.cells.named_parameters()}
        for index, state in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{k}": v for k, v in state.items()}
        partial = file.with_suffix(".partial")
        save_file(tensors, partial, {"step": str(self.step)})
        partial.replace(file)

    def load_state(self, file: Path) -> None:
        """Go on from what :meth:`save_state` kept."""
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


def draw(options: Options, step: int, maturity: float, pools: Sequence[corpus.Corpus]) -> Batch:
    """The images and questions of one step: a function of seed and step only.

    Args:
        options: Of the run.
        step: Number of the step.
        maturity: Of the model, 0 to 1; few objects come first, then more.
        pools: The easy scenes and the others.
    """
    rng = random.Random(options.seed * 1_000_003 + step)
    share = min(0.9, max(0.0, (maturity - 0.12) / 0.1))
    # One or two objects first: where many are to be told apart at once, little is learnt for long.
    limit = 1 if maturity < 0.06 else 2 if maturity < 0.1 else MAX_OBJECTS
    squares, truths, legible = [], [], []
    exchanges: list[tuple[int, Exchange]] = []
    for row in range(options.batch):
        pool = pools[1] if rng.random() < share else pools[0]
        # Crowded scenes are where objects are missed, so later half of all scenes are such.
        is_crowded = pool is pools[1] and maturity > 0.4 and rng.random() < 0.5
        index = rng.choice(pool.with_objects(CROWD if is_crowded else 0, limit))
        # Words can't be read in a mirror.
        is_mirrored = rng.random() < (0.2 if pool.words[index, 0, 0] >= 0 else 0.5)
        square = pool.pixels[index]
        squares.append(square[:, ::-1] if is_mirrored else square)
        truth = pool.truth(index, is_mirrored=is_mirrored)
        truths.append(truth)
        legible.append(not is_mirrored)
        if maturity > 0.2:
            asked = questions(rng, truth, is_legible=not is_mirrored)
        else:
            asked = first_questions(rng, truth, maturity)
        exchanges += [(row, exchange) for exchange in asked]
    return Batch(torch.from_numpy(np.stack(squares)), truths, legible, exchanges)
