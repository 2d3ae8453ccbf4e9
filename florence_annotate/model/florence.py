"""A loaded Florence-2: images in, features out; questions about features in, answers out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from florence_annotate import tasks
from florence_annotate.checkpoints.checkpoint import Checkpoint
from florence_annotate.errors import CheckpointError, DeviceError, UsageError
from florence_annotate.model.answering_by_kind import AnsweringByKind, settings_for
from florence_annotate.model.attention import attend_by
from florence_annotate.model.decoder import Decoder
from florence_annotate.model.device import make_current
from florence_annotate.model.encoder import Encoder
from florence_annotate.model.generation.constraint import Constraint, compile_constraint
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.loop import Decoded, Decoding, Encoded, most_bytes_held
from florence_annotate.model.memory import keep_freed_memory
from florence_annotate.model.vision import VisionTower, stage_sides
from florence_annotate.model.vocabulary import Vocabulary, load_tokenizer
from florence_annotate.model.weights import load_network, network_config
from florence_annotate.tasks import Takes
from florence_annotate.types import Answer, Answering, Generation, Question, TokenKind

_SHOWN = 40
"""Characters of a text that are shown in a message."""
_ASK_FOR_FEWER = (
    ", or ask for fewer classes at once (--strategy open-vocabulary asks for each alone)"
)


class Florence:
    """Florence-2 on one device; an image is encoded once, however many questions follow.

    The embeddings of a prompt stand directly behind the image features; shorter prompts are padded
    on the right and masked. So prompts of different length share a batch, and no answer depends on
    the others of its batch.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        device: torch.device,
        dtype: torch.dtype,
        attention: str,
        questions: Sequence[Question] = (),
    ) -> None:
        """`attention` is a kernel of `attend_by`; `questions` are those that will be asked, as far
        as they are known.

        Raises UsageError for a question that can't be asked, before the weights are read, and
        CheckpointError for weights, a tokenizer or a size of images that do not fit.
        """
        make_current(device)
        keep_freed_memory()
        self.image_size = checkpoint.image_size
        config = network_config(checkpoint)
        self.vocabulary = Vocabulary(load_tokenizer(checkpoint))
        self.vocabulary.refuse_misfit(config.text_config.vocab_size, checkpoint.name)
        self._image_tokens = _count_image_tokens(checkpoint, config)
        self._most_prompt_tokens = config.text_config.max_position_embeddings - self._image_tokens
        self.refuse_unaskable(questions)
        self.network = load_network(checkpoint, dtype).to(device)
        self.device = device
        self.max_new_tokens = checkpoint.max_new_tokens
        self.decoding = checkpoint.generation.decoding
        attend = attend_by(attention)
        images = checkpoint.images
        self._tower = VisionTower(self.network, attend, images.mean, images.std)
        self._compiled: Callable[[torch.Tensor], torch.Tensor] = self._tower
        self._compiled_for = 0
        self._copies: Any = None
        if device.type == "cuda":
            self._copies = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._encoder = Encoder(self.network, attend)
        self.decoder = Decoder(self.network, attend)

    def refuse_unaskable(self, questions: Sequence[Question]) -> None:
        """Raise UsageError for a question that can't be asked; see `problem`."""
        for question in questions:
            if problem := self.problem(question):
                takes = tasks.of(question).takes
                phrases = tasks.phrases(question.text or "") if takes is Takes.TEXT else []
                remedy = _ASK_FOR_FEWER if len(phrases) > 1 else ""
                raise UsageError(f"{problem}: change it{remedy}")

    def problem(self, question: Question) -> str | None:
        """Why a question can't be asked; None where it can.

        The encoder may have too few positions for its prompt, or its text may hold a control token.
        """
        said = question.text or ""
        shown = repr(said if len(said) <= _SHOWN else f"{said[:_SHOWN]}…")
        if tasks.of(question).takes is Takes.TEXT:
            found = tasks.control_token_in(said.replace(tasks.PHRASE_SEPARATOR, ""))
            if found:
                return f"the text {shown} holds {found}, which the model reads as a control token"
        length = len(self.vocabulary.prompt_ids(tasks.prompt(question)))
        if length > self._most_prompt_tokens:
            return (
                f"the prompt {shown} is {length} tokens long, and the model reads "
                f"{self._most_prompt_tokens} beside an image"
            )
        return None

    @property
    def has_own_kernels(self) -> bool:
        """Whether the tower runs by kernels of our own, which beat what PyTorch would compile."""
        return self._tower.has_own_kernels

    @torch.inference_mode()
    def compile_tower(self, batch_size: int) -> None:
        """Compile the vision tower for batches of this size; other batches run uncompiled.

        Takes a minute or so. Raises DeviceError where PyTorch finds no compiler for this device.
        """
        from torch._dynamo.exc import TorchDynamoException

        shape = (batch_size, 3, self.image_size, self.image_size)
        blank = torch.zeros(shape, dtype=torch.uint8, device=self.device)
        # einops notes torch at its first call, and later that would undo the compilation
        self._tower(blank[:1])
        # frozen weights: on CPUs the compiler only then gives linear layers to oneDNN
        options: dict[str, Any] = {"freezing": self.device.type == "cpu"}
        compiled = torch.compile(self._tower.__call__, dynamic=False, options=options)
        try:
            compiled(blank)
        except TorchDynamoException as error:
            reason = str(error).strip().splitlines()[0]
            raise DeviceError(
                f"--compile: PyTorch can't compile the vision tower on {self.device}: {reason} "
                "(it needs a C++ compiler such as g++, and Triton for CUDA devices). Leave "
                "--compile out to go on without"
            ) from error
        self._compiled, self._compiled_for = compiled, batch_size

    @torch.inference_mode()
    def encode(self, pixels: Sequence[Any]) -> torch.Tensor:
        """Image features, shape (views, image tokens, d_model), of uint8 arrays (3, S, S)."""
        return self.encode_pixels(self._to_device(pixels))

    def _to_device(self, pixels: Sequence[Any]) -> torch.Tensor:
        if self._copies is None:
            return torch.from_numpy(np.stack(pixels)).to(self.device)
        # straight to memory that the device reads itself, and that PyTorch uses again; by numpy,
        # since PyTorch's threads would wait for each other where readers have the cores
        shape = (len(pixels), *pixels[0].shape)
        stacked = torch.empty(shape, dtype=torch.uint8, pin_memory=True)
        np.stack(pixels, out=stacked.numpy())
        # uint8 crosses the bus on a stream of its own, beside what the device still computes
        with torch.cuda.stream(self._copies):
            moved = stacked.to(self.device, non_blocking=True)
        computing = torch.cuda.current_stream(self.device)
        computing.wait_stream(self._copies)
        moved.record_stream(computing)
        return moved

    @torch.inference_mode()
    def encode_pixels(self, pixels: torch.Tensor) -> torch.Tensor:
        """Image features, shape (images, image tokens, d_model), of uint8 pixels (images, 3, S, S).

        The pixels are on the model's device.
        """
        features: torch.Tensor
        features = (self._compiled if len(pixels) == self._compiled_for else self._tower)(pixels)
        return features

    def answering(self, generation: Generation, rows: int) -> Answering:
        """A queue that answers questions, `rows` of them at a time; of each kind, where the kinds
        have settings of their own."""
        queue = FlorenceAnswering(self, generation, rows)
        if generation.for_text is None:
            return queue
        return AnsweringByKind(queue, FlorenceAnswering(self, generation.for_text, rows))

    def longest_answer(self, generation: Generation) -> int:
        """The most tokens of an answer, of one that goes on beyond the limit too."""
        # an answer that goes on is the answer that twice the limit would have given at once
        limit = generation.max_new_tokens * (2 if generation.retry_truncated else 1)
        return max(generation.max_new_tokens, min(limit, self.max_new_tokens))

    def bytes_held(self, generation: Generation, question: Question) -> int:
        """Bytes of device memory that a question holds until its answer, the longest, is there."""
        generation = settings_for(generation, question)
        prompt = self.vocabulary.prompt_ids(tasks.prompt(question))
        return most_bytes_held(
            self.decoder,
            generation.num_beams,
            self.longest_answer(generation),
            self._image_tokens + len(prompt),
        )

    def encode_prompts(
        self, features: torch.Tensor, prompts: Sequence[Sequence[int]]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Encoder states (prompts, positions, d_model) and their mask (prompts, positions).

        `prompts` are token ids; `features` (prompts, image tokens, d_model) are those of the view
        that each prompt is about.
        """
        longest = max(len(prompt) for prompt in prompts)
        ids = torch.tensor(
            [[*prompt, *[self.vocabulary.pad_id] * (longest - len(prompt))] for prompt in prompts],
            device=self.device,
        )
        lengths = torch.tensor([[len(prompt)] for prompt in prompts], device=self.device)
        text_mask = torch.arange(longest, device=self.device) < lengths
        mask = torch.cat([text_mask.new_ones(features.shape[:2]), text_mask], dim=1)
        embedded = self.network.get_input_embeddings()(ids)
        joined = torch.cat([features.to(embedded.dtype), embedded], dim=1)
        is_padded = any(len(prompt) < longest for prompt in prompts)
        return self._encoder(joined, mask if is_padded else None), mask


def _count_image_tokens(checkpoint: Checkpoint, config: Any) -> int:
    """How many features an image has: a pooled one, and one for each cell of the last stage.

    Raises CheckpointError for a size of images that the tower or the encoder can't take.
    """
    vision, positions = config.vision_config, config.text_config.max_position_embeddings
    sides = stage_sides(vision, checkpoint.image_size)
    count = 1 + sides[-1] ** 2
    if min(sides) < 1 or sides[-1] > vision.max_position_embeddings:
        problem = f"{sides[-1]} cells a side, and its tower has positions for "
        problem += str(vision.max_position_embeddings)
    elif count >= positions:
        problem = f"{count} tokens, and its encoder has positions for {positions}"
    else:
        return count
    raise CheckpointError(
        f"{checkpoint.name}: an image of {checkpoint.image_size} pixels makes {problem}: copy the "
        "preprocessor_config.json of the checkpoint that this one was made from"
    )


@dataclass(frozen=True, slots=True)
class _Asked:
    ticket: int
    features: torch.Tensor
    question: Question


class FlorenceAnswering:
    """See `florence_annotate.types.Answering`."""

    def __init__(self, model: Florence, generation: Generation, rows: int) -> None:
        self._model, self._generation = model, generation
        rules = Rules(
            start=model.decoding.start,
            end=model.decoding.end,
            forced_first=model.decoding.forced_first,
            forced_last=model.decoding.forced_last,
            early_stopping=model.decoding.early_stopping,
            generation=generation,
            first_location=model.vocabulary.first_location if generation.keep_spreads else None,
            constraint=self._compile_constraint() if generation.constrain != "off" else None,
        )
        self._constraint = rules.constraint
        longest = model.longest_answer(generation)
        self._decoding = Decoding[_Asked](model.decoder, rules, rows, longest, self._encode)

    @property
    def free(self) -> int:
        return self._decoding.free

    def ask(self, ticket: int, features: torch.Tensor, question: Question) -> None:
        self._decoding.ask(_Asked(ticket, features, question))

    @torch.inference_mode()
    def answers(self) -> list[tuple[int, Answer]]:
        return [
            (asked.ticket, self._as_answer(asked.question, decoded))
            for asked, decoded in self._decoding.answers()
        ]

    def _encode(self, asked: Sequence[_Asked]) -> Encoded:
        vocabulary = self._model.vocabulary
        prompts = [vocabulary.prompt_ids(tasks.prompt(each.question)) for each in asked]
        features = torch.stack([each.features for each in asked])
        states, mask = self._model.encode_prompts(features, prompts)
        starts = [0] * len(asked)
        if self._constraint:
            starts = [self._constraint.starts[self._form(each.question)] for each in asked]
        return Encoded(states, mask, starts)

    def _compile_constraint(self) -> Constraint:
        asked = (*tasks.TASKS, *tasks.PROMPTS.values())
        forms = [self._form(Question(task.token)) for task in asked]
        size = self._model.decoder.vocabulary_size
        labels = self._generation.labels
        return compile_constraint(self._model.vocabulary, size, forms, labels, self._model.device)

    def _form(self, question: Question) -> tuple[str, bool]:
        """The form of an answer, and whether its labels are to be spelled from the given ones."""
        is_spelled = self._generation.constrain == "labels" and question.task == tasks.OD
        return tasks.form(question), is_spelled

    def _as_answer(self, question: Question, row: Decoded) -> Answer:
        vocabulary = self._model.vocabulary
        pieces = [vocabulary.token_bytes(token) for token in row.tokens]
        ends = np.cumsum([len(piece) for piece in pieces], dtype=int).tolist()
        kinds = tuple(vocabulary.kind(token) for token in row.tokens)
        return Answer(
            question,
            b"".join(pieces),
            tuple(ends),
            kinds,
            tuple(row.logprobs),
            row.truncated,
            _of_locations(row.spreads, kinds),
        )


def _of_locations(spreads: bytes, kinds: Sequence[TokenKind]) -> bytes:
    """Of the spreads of all tokens those of locations."""
    size = len(spreads) // max(1, len(kinds))
    return b"".join(
        spreads[index * size : (index + 1) * size]
        for index, kind in enumerate(kinds)
        if kind is TokenKind.LOCATION
    )
