"""The decode loop alone, on the embedded checkpoint: ours against `generate`'s.

    python -m benchmarks.decode_loop

Encoder states are given to both, 16 questions at once, 64 tokens each; nothing may end earlier.
"""

import torch
from transformers.modeling_outputs import BaseModelOutput

from benchmarks.measuring import race, save
from florence_annotate.model import checkpoint as checkpoints
from florence_annotate.model.decoding import Decoding, Encoded
from florence_annotate.model.florence import Florence
from florence_annotate.model.rules import Rules

QUESTIONS, TOKENS, POSITIONS = 16, 64, 75
NO_TOKEN = -1


@torch.inference_mode()
def main() -> None:
    model = Florence(checkpoints.find("shapes"), torch.device("cpu"), torch.float32, "sdpa")
    torch.manual_seed(0)
    width = model.network.config.text_config.d_model
    states = torch.randn(QUESTIONS, POSITIONS, width)
    mask = torch.ones(QUESTIONS, POSITIONS, dtype=torch.long)

    def ours(beams: int) -> None:
        rules = Rules(2, NO_TOKEN, 0, None, beams, 0)

        def encode(tickets: object) -> Encoded:
            return Encoded(states, mask, [0] * QUESTIONS)

        decoding = Decoding[int](model.decoder, rules, QUESTIONS, TOKENS, encode)
        for ticket in range(QUESTIONS):
            decoding.ask(ticket)
        answered = 0
        while found := decoding.answers():
            answered += sum(len(decoded.tokens) == TOKENS - 1 for _, decoded in found)
        assert answered == QUESTIONS

    def library(beams: int) -> None:
        tokens = model.network.generate(
            encoder_outputs=BaseModelOutput(last_hidden_state=states),
            attention_mask=mask,
            max_new_tokens=TOKENS,
            max_length=None,
            num_beams=beams,
            no_repeat_ngram_size=0,
            do_sample=False,
            early_stopping=False,
            eos_token_id=model.decoder.vocabulary_size + 1,
            forced_eos_token_id=None,
        )
        assert tokens.shape[1] == 1 + TOKENS

    timings = race(
        {
            f"{name}, {beams} beams": lambda run=run, beams=beams: run(beams)  # type: ignore[misc]
            for beams in (1, 3)
            for name, run in (("generate", library), ("ours", ours))
        },
        turns=15,
    )
    ratios = {}
    for beams in (1, 3):
        slow, fast = (timings[f"{name}, {beams} beams"].median for name in ("generate", "ours"))
        ratios[f"{beams} beams"] = slow / fast
        print(f"{beams} beams: {slow / TOKENS * 1e3:.2f} ms a step by generate, "
              f"{fast / TOKENS * 1e3:.2f} by ours: {slow / fast:.2f} times as fast")  # fmt: skip
    save(
        "decode-loop",
        "python -m benchmarks.decode_loop",
        {
            "questions": QUESTIONS,
            "tokens": TOKENS,
            "seconds": {name: timing.seconds for name, timing in timings.items()},
            "ratios": ratios,
            "bar": {"1 beams": 2.0},
        },
    )


if __name__ == "__main__":
    main()
