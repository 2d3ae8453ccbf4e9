"""Token ids to the bytes that they stand for, and back; and what kind of token each is."""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from florence_annotate import tasks
from florence_annotate.errors import CheckpointError
from florence_annotate.types import TokenKind

if TYPE_CHECKING:
    from florence_annotate.checkpoints.checkpoint import Checkpoint

_FORM_LETTERS = {"<sep>": "s", "<poly>": "p", "</poly>": "q"}


class Vocabulary:
    """A byte-level BPE of the BART family, with Florence-2's added tokens."""

    def __init__(self, tokenizer: Any) -> None:
        """`tokenizer` is a `tokenizers.Tokenizer` whose location tokens have consecutive ids."""
        self._tokenizer = tokenizer
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self.bos_id: int = tokenizer.token_to_id("<s>")
        self.pad_id: int = tokenizer.token_to_id("<pad>")
        self.eos_id: int = tokenizer.token_to_id("</s>")
        self.first_location: int = tokenizer.token_to_id("<loc_0>")
        self._added = {
            id_: token.content for id_, token in tokenizer.get_added_tokens_decoder().items()
        }
        self._bytes_of_character = _bytes_of_characters()
        # most jobs ask the same about every image
        self.prompt_ids = lru_cache(maxsize=4096)(self._prompt_ids)
        # a large GPU waits while the tokens of its answers are looked up
        self.token_bytes = lru_cache(maxsize=None)(self._token_bytes)

    def refuse_misfit(self, size: int, name: str) -> None:
        """Raise CheckpointError where the tokenizer has ids beyond the `size` rows of the weights.

        `name` is the checkpoint's, for the message.
        """
        tokens = self._tokenizer.get_vocab(with_added_tokens=True)
        tokens.pop("<image>", None)  # a placeholder, which may lie past the embedding
        if max(tokens.values()) >= size:
            raise CheckpointError(
                f"{name}: its tokenizer has ids up to {max(tokens.values())}, its weights {size} "
                "rows: they belong to different checkpoints"
            )

    def _prompt_ids(self, prompt: str) -> tuple[int, ...]:
        """The ids of a prompt between `<s>` and `</s>`."""
        return self.bos_id, *self.text_ids(prompt), self.eos_id

    def text_ids(self, text: str) -> list[int]:
        """The ids of a text as it stands in an answer, without `<s>` and `</s>`."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        return ids

    def form_letter(self, token: int) -> str | None:
        """The letter of a token in `florence_annotate.tasks.FORMS`; None where it is in no form."""
        if self.kind(token) is TokenKind.CONTROL:
            return _FORM_LETTERS.get(self._added[token])
        return "l" if self.kind(token) is TokenKind.LOCATION else "t"

    def kind(self, token: int) -> TokenKind:
        """Whether a token is text, a location or a control token."""
        if self.first_location <= token < self.first_location + 1000:
            return TokenKind.LOCATION
        return TokenKind.CONTROL if token in self._added else TokenKind.TEXT

    def _token_bytes(self, token: int) -> bytes:
        """The bytes that a token stands for; for an added token its name, as in `<loc_5>`."""
        if token in self._added:
            return str(self._added[token]).encode()
        piece: str = self._tokenizer.id_to_token(token) or ""
        return bytes(self._bytes_of_character[character] for character in piece)


def _bytes_of_characters() -> dict[str, int]:
    """The characters by which byte-level BPE spells the 256 bytes.

    Printable Latin-1 characters stand for themselves, the other bytes in order for the characters
    from U+0100 on (GPT-2's encoder, `bytes_to_unicode`).
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in set(printable)]
    table = {chr(byte): byte for byte in printable}
    return table | {chr(0x100 + index): byte for index, byte in enumerate(others)}


def load_tokenizer(checkpoint: "Checkpoint") -> Any:
    """The checkpoint's own tokenizer, as `tokenizers.Tokenizer`, with the tokens of the tasks.

    Original repositories hold BART's plain tokenizer, to which the tokens of the tasks are added
    behind its own. Raises CheckpointError where their ids are not consecutive, in the order of
    `tasks.SPECIAL_TOKENS`.
    """
    from tokenizers import AddedToken, Tokenizer

    path = checkpoint.folder / "tokenizer.json"
    try:
        # read here, since some editors put a mark before the text that the library can't read
        tokenizer = Tokenizer.from_str(path.read_text("utf-8-sig"))
    except Exception as error:
        raise CheckpointError(f"{checkpoint.name}: can't read tokenizer.json: {error}") from error
    ids = [tokenizer.token_to_id(token) for token in tasks.SPECIAL_TOKENS]
    if not any(ids):
        added = [AddedToken(token, normalized=False) for token in tasks.SPECIAL_TOKENS]
        tokenizer.add_special_tokens(added)
        ids = [tokenizer.token_to_id(token) for token in tasks.SPECIAL_TOKENS]
    for index, (token, found) in enumerate(zip(tasks.SPECIAL_TOKENS, ids, strict=True)):
        if ids[0] is None or found != ids[0] + index:
            raise CheckpointError(
                f"{checkpoint.name}: its tokenizer has {token} at {found} instead of "
                f"{'anywhere' if ids[0] is None else ids[0] + index}: locations would be read "
                "wrongly; use the tokenizer.json of the checkpoint that this one was made from"
            )
    return tokenizer
