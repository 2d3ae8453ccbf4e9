"""Large reports: how soon they are there, and what they take. `benchmarks/report_page.py` has
figures; the bars here leave room for machines that others use too."""

from pathlib import Path

import pytest

from benchmarks.report_page import BAR, make_page, visit


def test_the_first_tiles_of_5000_images_are_painted_within_two_seconds(tmp_path: Path) -> None:
    page = make_page(tmp_path, 5_000)
    found = min((visit(page, 5_000) for _ in range(3)), key=lambda one: one.first_tiles_s)
    assert found.first_tiles_s < BAR


@pytest.mark.slow
def test_50000_images_are_usable(tmp_path: Path) -> None:
    found = visit(make_page(tmp_path, 50_000), 50_000)
    assert found.heap_mb < 150
    assert found.peak_mb < 700
    assert found.all_loaded_s < 30
    assert max(found.filters_ms.values()) < 500
