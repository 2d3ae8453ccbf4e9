"""Parquet, loaded by `datasets` and pandas."""

import shutil
from pathlib import Path

import datasets
import pandas
import pyarrow.parquet
import pytest
from conftest import annotate, command
from PIL import Image
from read_back import annotated_images, assert_same, hub_objects, objects_of
from written_answers import picture

import florence_annotate
from florence_annotate.formats import parquet

pytestmark = pytest.mark.usefixtures("datasets_cache")


def test_parquet_is_read_by_datasets_with_images_and_class_names(exported: Path) -> None:
    images, names = annotated_images(exported), florence_annotate.open_dataset(exported).class_names
    read = datasets.load_dataset("parquet", data_dir=str(exported / "parquet"))
    assert set(read) == {"train", "validation"}
    seen = 0
    for split in read.values():
        assert tuple(split.features["objects"]["category"].feature.names) == names
        paths = split.cast_column("image", datasets.Image(decode=False))["image"]
        for row, path in zip(split, paths, strict=True):
            image = images[path["path"]]
            assert row["image"].size == (image.width, image.height) == (row["width"], row["height"])
            assert row["objects"]["label"] == [names[i] for i in row["objects"]["category"]]
            assert_same(hub_objects(row), objects_of(image), 2e-4)
            seen += 1
    assert seen == 20


def test_parquet_is_read_by_pandas_and_is_written_in_row_groups(
    exported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = exported / "parquet" / "train.parquet"
    table = pandas.read_parquet(file)
    assert list(table.columns) == ["image", "width", "height", "objects", "captions"]
    assert pyarrow.parquet.ParquetFile(file).num_row_groups == 1
    monkeypatch.setattr(parquet, "_ROW_GROUP_ROWS", 5)
    out = Path(shutil.copytree(exported, tmp_path / "out", symlinks=True))
    assert command("export", out, "--format", "parquet").code == 0
    again = pyarrow.parquet.ParquetFile(out / "parquet" / "train.parquet")
    assert again.num_row_groups == -(-len(table) // 5)
    assert again.read().to_pylist() == pyarrow.parquet.read_table(file).to_pylist()


def test_parquet_holds_upright_images_where_images_are_not_written(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(tmp_path / "in" / "turned.jpg", (60, 40), exif=exif)
    picture(tmp_path / "in" / "plain.jpg")
    out = tmp_path / "out"
    done = annotate(tmp_path / "in", out, "--format", "parquet", "--images", "none")
    assert done.code == 0, done.err
    assert not (out / "images").exists()
    rows = {}
    for file in (out / "parquet").iterdir():
        for row in pyarrow.parquet.read_table(file).to_pylist():
            rows[row["image"]["path"]] = row["image"]["bytes"]
    assert rows["plain.jpg"] == (tmp_path / "in" / "plain.jpg").read_bytes()
    (tmp_path / "turned.jpg").write_bytes(rows["turned.jpg"])
    with Image.open(tmp_path / "turned.jpg") as upright:
        assert upright.size == (40, 60)
    (tmp_path / "in" / "plain.jpg").unlink()
    again = command("export", out, "--json")
    assert list(again.json["left_out"]) == ["plain.jpg"]
