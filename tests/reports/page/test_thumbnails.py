"""Thumbnails are small, upright, of the image that was annotated, and made once."""

import base64
import hashlib
import io
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest
from image_files import bomb
from PIL import Image

from florence_annotate.dataset.annotated_image import AnnotatedImage
from florence_annotate.images import codec
from florence_annotate.reports.page.folder import Folder
from florence_annotate.reports.page.thumbnails import SIDE, Thumbnails
from florence_annotate.types import ImageRef


def image_of(path: Path, size: tuple[int, int] = (800, 600)) -> AnnotatedImage:
    sha = hashlib.sha256(path.read_bytes()).hexdigest()
    ref = ImageRef(path.name, bytes(path), 0, 0)
    return AnnotatedImage(ref, sha, *size, (), (), (), False, ())


def find(image: AnnotatedImage) -> Path | None:
    path = Path(image.ref.path.decode())
    return path if path.exists() else None


def made_of(
    images: Iterable[AnnotatedImage | None], kept: Folder | None = None
) -> list[str | None]:
    with Thumbnails(find, kept) as thumbnails:
        return list(thumbnails.finish(thumbnails.begin(list(images))))


def decoded(address: str | None) -> Image.Image:
    assert address is not None
    return Image.open(io.BytesIO(base64.b64decode(address.removeprefix("data:image/jpeg;base64,"))))


@pytest.mark.parametrize(
    ("size", "name", "small"),
    [((800, 600), "a.jpg", (320, 240)), ((100, 3000), "a.png", (11, 320)), ((9, 7), "a.jpg", None)],
)
def test_no_side_is_longer_than_it_may_be(
    size: tuple[int, int], name: str, small: tuple[int, int] | None, tmp_path: Path
) -> None:
    path = tmp_path / name
    Image.new("RGB", size, "red").save(path)
    (address,) = made_of([image_of(path, size)])
    assert decoded(address).size == (small or size) and max(decoded(address).size) <= SIDE


def test_an_image_is_turned_upright_and_tells_nothing_of_its_camera(tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    turned = Image.new("RGB", (800, 600), "blue")
    turned.paste("red", (0, 0, 800, 300))  # above, and right once it is upright
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    turned.save(path, exif=exif, comment=b"at home")
    (address,) = made_of([image_of(path)])
    small = decoded(address)
    assert small.size == (240, 320) and not small.getexif() and "comment" not in small.info
    red, blue = small.getpixel((200, 160)), small.getpixel((40, 160))
    assert red[0] > 200 > blue[0] and blue[2] > 200 > red[2]  # type: ignore[index]


def test_what_cannot_be_read_has_none(tmp_path: Path) -> None:
    for name, content in (("broken.jpg", b"no image"), ("bomb.png", bomb(30_000))):
        (tmp_path / name).write_bytes(content)
    Image.new("RGB", (8, 8)).save(tmp_path / "right.png")
    images = [image_of(tmp_path / name) for name in ("broken.jpg", "bomb.png", "right.png")]
    gone = image_of(tmp_path / "right.png")
    (tmp_path / "right.png").unlink()
    assert made_of([*images[:2], gone, None]) == [None] * 4


def test_what_is_kept_is_not_made_again(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    for number, path in enumerate(paths):
        Image.new("RGB", (40, 30), (number // 2, 0, 0)).save(path)
    images = [image_of(path, (40, 30)) for path in paths]  # two have equal bytes
    folder = Folder(tmp_path / "data")
    first = made_of(images, folder)
    for path in paths:
        path.unlink()
    with Thumbnails(find, folder, "with space") as thumbnails:
        second = list(thumbnails.finish(thumbnails.begin(images)))
    assert made_of(images, folder) == first and thumbnails.made == 0
    sha = images[0].sha
    assert second[0] == second[1] == f"with%20space/thumbnails/{sha[:2]}/{sha}.jpg"
    assert thumbnails.needed == {f"thumbnails/{one.sha[:2]}/{one.sha}.jpg" for one in images}


def test_a_file_that_is_no_thumbnail_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "1.png"
    Image.new("RGB", (8, 8)).save(path)
    image, folder = image_of(path, (8, 8)), Folder(tmp_path / "data")
    folder.write(f"thumbnails/{image.sha[:2]}/{image.sha}.jpg", b"<svg onload=alert(1)>")
    (address,) = made_of([image], folder)
    assert decoded(address).size == (8, 8)
    Path(image.ref.path.decode()).unlink()
    assert made_of([image], folder) == [address]


def test_threads_leave_pillow_as_it_was(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(40)]
    for number, path in enumerate(paths):
        Image.new("RGB", (400, 300), (number, 0, 0)).save(path)
    limit, filters = Image.MAX_IMAGE_PIXELS, warnings.filters[:]
    assert None not in made_of([image_of(path, (400, 300)) for path in paths])
    assert limit is not None and limit == Image.MAX_IMAGE_PIXELS and filters == warnings.filters


def test_a_jpeg_that_is_decoded_in_part_looks_as_the_whole(scenes: Path) -> None:
    path = next(scenes.glob("*.jpg"))
    large = Image.open(path).resize((2400, 1800))
    buffer = io.BytesIO()
    large.save(buffer, "JPEG", quality=95)
    small = codec.decode_small(buffer.getvalue(), SIDE, 10**8)
    whole = codec.decode(buffer.getvalue()).resize(small.size)
    differences = [
        abs(one - other) for one, other in zip(small.tobytes(), whole.tobytes(), strict=True)
    ]
    assert sum(differences) / len(differences) < 3
