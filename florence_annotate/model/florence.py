"""A loaded Florence-2: pictures in, features out; questions about features in, answers out."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from florence_annotate import tasks
from florence_annotate.errors import UsageError
from florence_annotate.model import checkpoint as checkpoints
from florence_annotate.model.checkpoint import Checkpoint
from florence_annotate.model.decoding import Decoded, decode
from florence_annotate.model.vocabulary import Vocabulary
from florence_annotate.types import Answer, Generation, Picture, Question


class Florence:
    """Florence-2 on one device; an image is encoded once, however many questions follow.

    Image features and prompt embeddings are joined directly, padded on the right and masked, so
    that prompts of different length share a batch and no answer depends on its neighbours.
    """

    def __init__(
        self, checkpoint: Checkpoint, device: torch.device, dtype: torch.dtype, attention: str
    ) -> None:
        """Raises CheckpointError for weights or a tokenizer that do not fit."""
        self.image_size = checkpoint.image_size
        self.vocabulary = Vocabulary(checkpoints.load_tokenizer(checkpoint))
        self.network = checkpoints.load_weights(checkpoint, dtype, attention).to(device)
        self.vocabulary.refuse_misfit(self.network.config.text_config.vocab_size, checkpoint.name)
        self.device = device
        self.max_new_tokens = checkpoint.max_new_tokens
        self._mean = torch.tensor(checkpoint.image_mean, device=device).view(3, 1, 1)
        self._std = torch.tensor(checkpoint.image_std, device=device).view(3, 1, 1)

    def refuse_long_prompts(self, questions: Sequence[Question]) -> None:
        """Raise UsageError for a question that the encoder has too few positions for."""
        room = int(self.network.config.text_config.max_position_embeddings) - self._image_tokens()
        for question in questions:
            length = len(self.vocabulary.prompt_ids(tasks.prompt(question)))
            if length > room:
                raise UsageError(
                    f"the prompt {(question.text or '')[:40]!r}… is {length} tokens long, and the "
                    f"model reads {room} beside a picture: shorten it, or ask for fewer classes at "
                    "once (--strategy open-vocabulary asks for each alone)"
                )

    def _image_tokens(self) -> int:
        """One pooled token and one a cell of the vision tower's last stage."""
        config, side = self.network.config.vision_config, self.image_size
        for size, stride, padding in zip(
            config.patch_size, config.patch_stride, config.patch_padding, strict=True
        ):
            side = (side + 2 * padding - size) // stride + 1
        return 1 + int(side) ** 2

    @torch.inference_mode()
    def encode(self, pictures: Sequence[Picture]) -> torch.Tensor:
        """Image features, shape (pictures, image tokens, d_model)."""
        stacked = np.stack([picture.pixels for picture in pictures])
        pixels = torch.from_numpy(stacked).to(self.device).float() / 255
        features: torch.Tensor = self.network.get_image_features(
            (pixels - self._mean) / self._std
        ).pooler_output
        return features

    @torch.inference_mode()
    def answer(
        self,
        features: torch.Tensor,
        asked: Sequence[tuple[int, Question]],
        generation: Generation,
    ) -> list[Answer]:
        """Answers to (index into features, question) pairs, in their order.

        An answer that was cut at the token limit is asked again once with twice the limit, where
        `generation` says so and the model's positions allow it.
        """
        answers = self._answer(features, asked, generation)
        longer = min(2 * generation.max_new_tokens, self.max_new_tokens)
        cut = [i for i, answer in enumerate(answers) if answer.truncated]
        if cut and generation.retry_truncated and longer > generation.max_new_tokens:
            again = replace(generation, max_new_tokens=longer)
            retried = self._answer(features, [asked[i] for i in cut], again)
            for i, answer in zip(cut, retried, strict=True):
                answers[i] = answer
        return answers

    def _answer(
        self,
        features: torch.Tensor,
        asked: Sequence[tuple[int, Question]],
        generation: Generation,
    ) -> list[Answer]:
        prompts = [self.vocabulary.prompt_ids(tasks.prompt(question)) for _, question in asked]
        indices = torch.tensor([index for index, _ in asked], device=self.device)
        hidden, mask = self._read_prompts(features[indices], prompts)
        decoded = decode(self.network, hidden, mask, generation)
        return [
            self._as_answer(question, row)
            for (_, question), row in zip(asked, decoded, strict=True)
        ]

    def _read_prompts(
        self, features: torch.Tensor, prompts: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (questions, image tokens + longest prompt, d_model) and their mask."""
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.tensor(
            [[*prompt, *[self.vocabulary.pad_id] * (longest - len(prompt))] for prompt in prompts],
            device=self.device,
        )
        lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=self.device)
        text_mask = torch.arange(longest, device=self.device) < lengths
        mask = torch.cat([text_mask.new_ones(features.shape[:2]), text_mask], dim=1).long()
        embedded = self.network.get_input_embeddings()(ids)
        joined = torch.cat([features.to(embedded.dtype), embedded], dim=1)
        encoder = self.network.get_encoder()
        return encoder(inputs_embeds=joined, attention_mask=mask).last_hidden_state, mask

    def _as_answer(self, question: Question, row: Decoded) -> Answer:
        pieces = [self.vocabulary.token_bytes(token) for token in row.tokens]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=int).tolist()
        kinds = tuple(self.vocabulary.kind(token) for token in row.tokens)
        return Answer(
            question, b"".join(pieces), tuple(ends), kinds, tuple(row.logprobs), row.truncated
        )
