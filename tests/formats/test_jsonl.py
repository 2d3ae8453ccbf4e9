"""JSON Lines, loaded by pandas."""

from pathlib import Path

import numpy as np
import pandas
import pytest
from read_back import annotated_images


def test_json_lines_are_read_by_pandas_with_the_same_points(outlined: Path) -> None:
    table = pandas.read_json(outlined / "annotations.jsonl", lines=True)
    for row, image in zip(
        table.to_dict("records"), annotated_images(outlined).values(), strict=True
    ):
        assert row["key"] == image.ref.key
        for one, instance in zip(row["instances"], image.instances, strict=True):
            assert one["box"] == pytest.approx(instance.box)
            for flat, polygon in zip(one["polygons"], instance.polygons, strict=True):
                assert np.allclose(np.reshape(flat, (-1, 2)), polygon)
