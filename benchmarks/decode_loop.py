"""The decode loop alone, on the embedded checkpoint: ours against `generate`'s.

    python -m benchmarks.decode_loop

Encoder states are given to both; 16 questions are answered at once. Two tables: the answers to
`<OD>` of 160 scenes, which end where they end, so that `generate` waits for the longest of a batch
while ours gives its row to the next question; and 16 answers of 64 tokens each, where nothing but
the speed of a step counts.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from transformers.modeling_outputs import BaseModelOutput

from benchmarks.measuring import parser, race, save
from florence_annotate.checkpoints import checkpoint as checkpoints
from florence_annotate.model.florence import Florence
from florence_annotate.model.generation.logit_filters import Rules
from florence_annotate.model.generation.loop import Decoding, Encoded
from florence_annotate.shapes.scenes import paint
from florence_annotate.tasks import OD, prompt
from florence_annotate.types import Generation, Question

ROWS, SCENES, FORCED = 16, 160, 64
LIMIT = 192
NO_TOKEN = -1
TURNS = 9
BAR = 2.0


@dataclass(frozen=True)
class Work:
    """Answers that end by themselves, or all of one length."""

    is_forced: bool
    beams: int

    def ours(self) -> Callable[[], int]:
        model, states = self._begin()
        mask = torch.ones(states.shape[:2], dtype=torch.long)
        end = NO_TOKEN if self.is_forced else 2
        generation = Generation(64, self.beams, 0, retry_truncated=False)
        rules = Rules(2, end, 0, None if self.is_forced else 2, generation)

        def encode(tickets: object) -> Encoded:
            chosen = list(tickets)  # type: ignore[call-overload]
            return Encoded(states[chosen], mask[chosen], [0] * len(chosen))

        @torch.inference_mode()
        def run() -> int:
            limit = FORCED if self.is_forced else LIMIT
            decoding = Decoding[int](model.decoder, rules, ROWS, limit, encode)
            for ticket in range(len(states)):
                decoding.ask(ticket)
            written = 0
            while found := decoding.answers():
                # the first token is forced, and left out
                written += sum(1 + len(decoded.tokens) for _, decoded in found)
            return written

        return run

    def library(self) -> Callable[[], int]:
        model, states = self._begin()

        @torch.inference_mode()
        def run() -> int:
            written = 0
            for batch in (states[at : at + ROWS] for at in range(0, len(states), ROWS)):
                ids = model.network.generate(
                    encoder_outputs=BaseModelOutput(last_hidden_state=batch),
                    attention_mask=torch.ones(batch.shape[:2], dtype=torch.long),
                    max_new_tokens=FORCED if self.is_forced else LIMIT,
                    max_length=None,
                    num_beams=self.beams,
                    no_repeat_ngram_size=0,
                    do_sample=False,
                    early_stopping=False,
                    eos_token_id=model.decoder.vocabulary_size + 1 if self.is_forced else 2,
                    forced_eos_token_id=None if self.is_forced else 2,
                )
                written += int((ids != 1).sum()) - len(ids)
            return written

        return run

    @torch.inference_mode()
    def _begin(self) -> tuple[Florence, torch.Tensor]:
        """The model, and the encoder's states for each question."""
        model = Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")
        scenes = [
            paint(seed).image.resize((model.image_size, model.image_size))
            for seed in range(4_000_000, 4_000_000 + (ROWS if self.is_forced else SCENES))
        ]
        pixels = np.stack([np.asarray(scene).transpose(2, 0, 1) for scene in scenes])
        features = model.encode_pixels(torch.from_numpy(pixels))
        ids = model.vocabulary.prompt_ids(prompt(Question(OD)))
        states, _ = model.encode_prompts(features, [ids] * len(scenes))
        return model, states


def main() -> None:
    parser("decode_loop", __doc__).parse_args()
    content = {}
    for is_forced in (False, True):
        for beams in (1, 3):
            work = Work(is_forced, beams)
            timings = race({"generate": work.library, "ours": work.ours}, TURNS)
            slow, fast = timings["generate"], timings["ours"]
            name = f"{'64 tokens each' if is_forced else 'as they end'}, {beams} beams"
            ratio = slow.median / fast.median
            print(
                f"{name}: {slow.written} and {fast.written} tokens, ours {ratio:.2f} times as fast"
            )
            content[name] = {
                "tokens written": {"generate": slow.written, "ours": fast.written},
                "seconds": {"generate": slow.seconds, "ours": fast.seconds},
                "ratio": ratio,
                "bar": BAR,
            }
    save("decode-loop", "python -m benchmarks.decode_loop", {"rows": ROWS, "tables": content})


if __name__ == "__main__":
    main()
