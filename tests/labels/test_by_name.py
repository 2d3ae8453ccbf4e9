"""What users give is found by the image's name."""

from pathlib import Path

from conftest import annotate, rows


def test_names_may_be_paths_and_those_of_no_image_are_said(scenes: Path, tmp_path: Path) -> None:
    path = sorted(scenes.glob("*.jpg"))[0]
    (tmp_path / "texts.csv").write_text(f"image,text\n{path},a star\nnowhere.jpg,a cross\n")
    options = ["--task", "grounding", "--texts", tmp_path / "texts.csv", "--format", "jsonl"]
    result = annotate(scenes, tmp_path / "out", *options)
    assert result.code == 0 and "fit no image: 'nowhere.jpg'" in result.err
    assert [row["key"] for row in rows(tmp_path / "out")] == [path.name]


def test_a_name_that_two_images_have_is_refused(scenes: Path, tmp_path: Path) -> None:
    picture = next(scenes.glob("*.jpg"))
    for folder in ("in/a", "in/b"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "1.jpg").write_bytes(picture.read_bytes())
    texts = tmp_path / "texts.csv"
    options = ["--task", "grounding", "--texts", texts, "--format", "jsonl"]
    for name, message in (("1.jpg", "a/1.jpg and b/1.jpg"), ("2.jpg", "none of the images")):
        texts.write_text(f"image,text\n{name},a star\n")
        result = annotate(tmp_path / "in", tmp_path / "out", *options)
        assert result.code == 2 and message in " ".join(result.err.split())
    texts.write_text("image,text\na/1.jpg,a star\nb/1.jpg,a cross\n")
    assert annotate(tmp_path / "in", tmp_path / "out", *options).code == 0
