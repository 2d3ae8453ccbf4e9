"""From encoder states to the tokens of an answer."""
