"""The checkpoint's own tokenizer: Florence-2's order of ids, with a small vocabulary.

A byte-level BPE as BART's, trained on the sentences of this small world: ids 0 to 3 are `<s>`,
`<pad>`, `</s>` and `<unk>`, then come the BPE entries, then the task and location tokens in the
order of the original checkpoints, and `<image>` is the last. Being byte-level, it can spell any
text; one that was not trained on just takes more tokens.
"""

import itertools
from collections.abc import Iterator

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from florence_annotate import tasks
from florence_annotate.shapes import COLOURS, MAX_OBJECTS, SHAPES
from florence_annotate.shapes.scenes import PRINTED_WORDS
from training import captions
from training.truth import Target

BOS, PAD, EOS, UNK = "<s>", "<pad>", "</s>", "<unk>"
BOS_ID, PAD_ID, EOS_ID = range(3)
IMAGE_TOKEN = "<image>"

_VOCABULARY = 768
"""Entries before the task tokens."""


def build() -> Tokenizer:
    """Train the tokenizer; every call gives the same one.

    Encoding adds `<s>` and `</s>` as BART's does, unless told otherwise.
    """
    tokenizer = Tokenizer(models.BPE(unk_token=UNK))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        _sentences(),
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
    tokenizer.add_special_tokens([AddedToken(t, normalized=False) for t in tasks.SPECIAL_TOKENS])
    tokenizer.add_special_tokens([AddedToken(IMAGE_TOKEN, normalized=False)])
    return tokenizer


def token_id(tokenizer: Tokenizer, token: str) -> int:
    """The id of a token that is known to be there."""
    found = tokenizer.token_to_id(token)
    assert found is not None, token
    return found


def first_location_id(tokenizer: Tokenizer) -> int:
    """The id of `<loc_0>`; the others follow it."""
    return token_id(tokenizer, "<loc_0>")


def _sentences() -> Iterator[str]:
    """The text that decides which words get a token of their own."""
    for colour in COLOURS:
        for shape in SHAPES:
            phrase = f"{colour} {shape}"
            # to BPE, a word is another one after a space, and in the plural
            yield from (phrase, f" {phrase}", shape, f" {shape}", f"{phrase}s", f"{shape}s")
            yield from (task.prompt.replace("{input}", phrase) for task in tasks.TASKS)
            for count in range(MAX_OBJECTS + 1):
                for x, y, side in itertools.product((0, 400, 800), (0, 400, 800), (100, 199)):
                    target = Target(shape, colour, (x, y, x + side, y + side))
                    yield captions.caption([target] * count)
                    yield captions.detailed_caption([target] * count)
                    yield captions.more_detailed_caption([target] * count)
    for word in PRINTED_WORDS:
        yield from (word, f" {word}") * 2
