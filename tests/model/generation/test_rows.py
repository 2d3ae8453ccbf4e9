"""The tensors of the sequences that are being written."""

import torch

from florence_annotate.model.generation.rows import Rows

CPU = torch.device("cpu")


def begun(beams: int = 2) -> Rows:
    """Three rows, of which the first and the last have begun."""
    rows = Rows.allocate(3, beams, 6, CPU)
    rows.start(torch.tensor([0, 2]), torch.tensor([4, 5]), torch.tensor([7, 8]), token=2)
    return rows


def test_rows_without_a_question_are_done() -> None:
    assert Rows.allocate(3, 1, 6, CPU).done.all()
    rows = begun()
    assert rows.done.tolist() == [False, True, False]
    assert rows.lengths.tolist() == [1, 1, 1] and rows.limits.tolist() == [4, 1, 5]
    assert rows.states.tolist() == [[7, 7], [0, 0], [8, 8]]
    assert rows.last_tokens().tolist() == [[2, 2], [0, 0], [2, 2]]
    assert rows.ancestry[0, :, 0].tolist() == [0, 1]


def test_a_token_counts_once_the_length_says_so() -> None:
    rows = begun()
    rows.append(torch.tensor([[5, 6]] * 3), torch.tensor([[-0.5, -1.0]] * 3))
    assert rows.last_tokens()[0].tolist() == [2, 2]
    rows.lengths += ~rows.done
    assert rows.last_tokens().tolist() == [[5, 6], [0, 0], [5, 6]]
    assert rows.logprobs[2, :, 1].tolist() == [-0.5, -1.0]


def test_rows_that_are_done_keep_their_sequences() -> None:
    rows = begun()
    rows.replace(torch.full((3, 2, 6), 9), torch.full((3, 2, 6), -1.0))
    assert (rows.tokens[[0, 2]] == 9).all() and (rows.tokens[1] == 0).all()


def test_views_of_the_first_rows_are_the_rows_themselves() -> None:
    rows = begun()
    first = rows.first(1, 3)
    assert first.tokens.shape == (1, 2, 3)
    first.append(torch.tensor([[5, 6]]), torch.zeros(1, 2))
    assert rows.tokens[0, :, 1].tolist() == [5, 6]
