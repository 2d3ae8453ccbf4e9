"""The checkpoint's own tokenizer: Florence-2's layout of ids around a small vocabulary.

A byte-level BPE as BART's, trained on the sentences of this small world: ids 0 to 3 are ``<s>``,
``<pad>``, ``</s>`` and ``<unk>``, then come the BPE entries, then the task and location tokens in
the order of the original checkpoints, and ``<image>`` is the last. Being byte-level, it can spell
any text, only less shortly than a large vocabulary would.
"""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from . import COLOURS, SHAPES, targets
from .scenes import PRINTED_WORDS

BOS, PAD, EOS, UNK = "<s>", "<pad>", "</s>", "<unk>"
BOS_ID, PAD_ID, EOS_ID, UNK_ID = range(4)
IMAGE_TOKEN = "<image>"

TASK_TOKENS: tuple[str, ...] = (
    *("<od>", "</od>", "<ocr>", "</ocr>"),
    *(f"<loc_{bin_}>" for bin_ in range(targets.LOCATION_BINS)),
    *("<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>"),
    *("<seg>", "</seg>", "<sep>", "<region_cap>", "</region_cap>"),
    # The original's spelling, kept: fine-tuned checkpoints carry it too.
    *("<region_to_desciption>", "</region_to_desciption>", "<proposal>", "</proposal>"),
    *("<poly>", "</poly>", "<and>"),
)

_VOCABULARY = 768
_NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


def build() -> Tokenizer:
    """Train the tokenizer; the same call gives the same tokenizer.

    Returns:
        The tokenizer; encoding adds ``<s>`` and ``</s>`` as BART's does, unless told otherwise.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        corpus(),
        trainers.BpeTrainer(
            vocab_size=_VOCABULARY,
            min_frequency=2,
            special_tokens=[BOS, PAD, EOS, UNK],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        pair=f"{BOS} $A {EOS} {EOS} $B {EOS}",
        special_tokens=[(BOS, BOS_ID), (EOS, EOS_ID)],
    )
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in TASK_TOKENS])
    tokenizer.add_special_tokens([AddedToken(IMAGE_TOKEN, normalized=False)])
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that is known to be there."""
    found = tokenizer.token_to_id(token)
    assert found is not None, token
    return found


def first_location_id(tokenizer: Tokenizer) -> int:
    """The id of ``<loc_0>``; the others follow it."""
    return token_id(tokenizer, "<loc_0>")


def corpus() -> Iterator[str]:
    """The text that decides which words get a token of their own."""
    prompts = (
        targets.DETECTION_PROMPT,
        targets.OPEN_VOCABULARY_PROMPT,
        targets.GROUNDING_PROMPT,
        *targets.OTHER_PROMPTS,
    )
    for colour in COLOURS:
        for shape in SHAPES:
            phrase = f"{colour} {shape}"
            # A word in front, after a space and in the plural is three different words to BPE.
            yield from (phrase, f" {phrase}", shape, f" {shape}", f"{phrase}s", f"{shape}s")
            yield f"a {phrase}, an {shape} and a {phrase}"
            yield f"There are {colour} objects: a {phrase} above a {phrase} on the left."
            yield from (prompt.replace("{}", phrase) for prompt in prompts)
    for number in _NUMBERS:
        yield from (f"{number} objects", f"There are {number} objects in the image", f" {number} ")
    yield from ("an empty picture", "There is nothing in the picture.", "the text reads") * 2
    for word in PRINTED_WORDS:
        yield from (word, f" {word}", word, f" {word}")
