"""Where the originals of a job lie, as an export asks."""

import shutil
from pathlib import Path

import pytest
from written_answers import attempt, picture, written_job

from florence_annotate.formats import whereabouts
from florence_annotate.formats.whereabouts import Whereabouts
from florence_annotate.journal import Journal
from florence_annotate.types import Answer


def test_originals_of_identical_images_are_looked_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.png" for number in range(20)]
    said: dict[str, list[Answer]] = {name: [] for name in names}
    out = written_job(tmp_path, said)
    for name in names:
        picture(tmp_path / "in" / name)
    with Journal.open_to_write(out) as journal:
        attempt(journal, tmp_path, said)
        (source,) = {record.sha for record in journal.records()}
        shutil.rmtree(tmp_path / "in")
        hashed, asked = [], []
        hash_, ask = whereabouts.name_of_content, journal.originals_of
        monkeypatch.setattr(whereabouts, "name_of_content", lambda p: hashed.append(p) or hash_(p))
        monkeypatch.setattr(journal, "originals_of", lambda s: asked.append(s) or ask(s))
        originals = Whereabouts(out, journal)
        picture(out / "image.png")
        for _ in names:
            assert not originals.is_there(source)
            assert not originals.has_as_link(out / "image.png", source)
    assert (len(hashed), len(asked)) == (20, 1)
