"""The room that knows transformers: checkpoints, encoding, answering."""
