import io
import struct
from pathlib import Path

import numpy as np
import pytest
from calls import calls_within
from image_files import POSTSCRIPT, bomb, encoded, grey16, icon
from PIL import Image

from florence_annotate.images import codec
from florence_annotate.images.codec import UnreadableImageError
from florence_annotate.shapes.scenes import paint


def pixel(data: bytes, x: int = 0, y: int = 0) -> tuple[int, ...]:
    value = codec.decode(data).getpixel((x, y))
    assert isinstance(value, tuple)
    return value


def test_16_bit_grey_is_scaled_not_cut() -> None:
    data = grey16(np.array([[0, 257, 32896, 65535, 256]]))
    assert [pixel(data, x)[0] for x in range(5)] == [0, 1, 128, 255, 1]


def test_palette_grey_and_alpha_become_rgb_by_value() -> None:
    palette = Image.new("P", (1, 1))
    palette.putpalette([10, 20, 30] + [0] * 765)
    assert pixel(encoded(palette, "PNG")) == (10, 20, 30)
    assert pixel(encoded(Image.new("LA", (1, 1), (77, 0)), "PNG")) == (77, 77, 77)
    assert pixel(encoded(Image.new("RGBA", (1, 1), (9, 8, 7, 0)), "PNG")) == (9, 8, 7)
    assert pixel(encoded(Image.new("1", (1, 1), 1), "PNG")) == (255, 255, 255)
    assert pixel(encoded(palette, "PNG", transparency=0)) == (10, 20, 30)


def test_cmyk_becomes_rgb_by_value() -> None:
    cyan = encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "TIFF")
    assert pixel(cyan) == (0, 255, 255)
    red, green, blue = pixel(encoded(Image.new("CMYK", (8, 8), (255, 0, 0, 0)), "JPEG"))
    assert (red < 8, green > 247, blue > 247) == (True, True, True)


def test_the_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (4, 4), colour) for colour in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert pixel(data) == (255, 0, 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied(orientation: int) -> None:
    # what a viewer shows: red in the upper left corner of a 2 x 1 image
    shown = Image.new("RGB", (2, 1), "blue")
    shown.putpixel((0, 0), (255, 0, 0))
    transpose = Image.Transpose
    stored = {
        2: transpose.FLIP_LEFT_RIGHT, 3: transpose.ROTATE_180, 4: transpose.FLIP_TOP_BOTTOM,
        5: transpose.TRANSPOSE, 6: transpose.ROTATE_90, 7: transpose.TRANSVERSE,
        8: transpose.ROTATE_270,
    }  # fmt: skip
    image = shown.transpose(stored[orientation]) if orientation > 1 else shown
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = codec.decode(encoded(image, "PNG", exif=exif))
    assert decoded.size == (2, 1)
    assert decoded.getpixel((0, 0)) == (255, 0, 0)


def test_an_orientation_that_does_not_exist_is_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 42
    assert codec.decode(encoded(Image.new("RGB", (2, 1)), "PNG", exif=exif)).size == (2, 1)


def test_a_wrong_ending_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(encoded(Image.new("RGB", (3, 2)), "PNG"))
    assert codec.decode(codec.read_bytes(bytes(tmp_path / "x.jpg"))).size == (3, 2)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"not an image", "not-an-image"),
        (encoded(Image.effect_noise((256, 256), 80), "JPEG")[:-999], "truncated"),
        (encoded(Image.new("F", (2, 2)), "TIFF"), "depth"),
        (encoded(Image.fromarray(np.array([[70_000]], np.int32)), "TIFF"), "depth"),
    ],
)
def test_what_cannot_be_decoded_says_why(data: bytes, kind: str) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        codec.decode(data)
    assert (caught.value.stage, caught.value.kind) == ("decode", kind)


def test_a_decompression_bomb_is_refused_by_its_header() -> None:
    advice = "--retry-failed --max-pixels 3600000000 reads it, where there are 21.6 GB of memory"
    with pytest.raises(UnreadableImageError, match=advice) as caught:
        codec.decode(bomb(60_000))
    assert caught.value.kind == "too-large"


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (icon(600), "ICO"),
        (POSTSCRIPT, "EPS"),
        (encoded(Image.new("RGB", (9, 9)), "ICNS"), "ICNS"),
        (encoded(Image.new("RGB", (9, 9)), "SGI"), "SGI"),
        (b"\0\0\0\x18ftypheic" + bytes(100), "HEIF"),
    ],
)
def test_other_formats_are_named_and_not_decoded(data: bytes, name: str, tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match=f"it is {name}.*: convert it") as caught:
        codec.decode(data)
    assert (caught.value.stage, caught.value.kind) == ("decode", "other-format")
    (tmp_path / "image.jpg").write_bytes(data)
    with pytest.raises(UnreadableImageError, match=f"it is {name}"):
        codec.check_for_link(bytes(tmp_path / "image.jpg"))


@pytest.mark.parametrize("suffix", sorted(codec.SUFFIXES - {".heic", ".heif"}))
def test_what_folders_are_searched_for_is_decoded(suffix: str) -> None:
    format_name = Image.registered_extensions()[suffix]
    assert codec.decode(encoded(Image.new("RGB", (20, 10)), format_name)).size == (20, 10)


@pytest.mark.parametrize("size", [(30, 30), (1, 900)])
def test_a_gif_is_as_large_as_its_first_frame(size: tuple[int, int]) -> None:
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    frame = b"," + struct.pack("<HHHHB", 0, 0, *size, 0) + b"\x02\x02\x44\x01\0;"
    with pytest.raises(UnreadableImageError) as caught:
        codec.decode(screen + frame, max_pixels=899)
    assert caught.value.kind == "too-large"


def test_the_limit_is_the_users_and_pillows_own_comes_back() -> None:
    before = Image.MAX_IMAGE_PIXELS
    data = encoded(Image.new("RGB", (20, 20)), "PNG")
    with pytest.raises(UnreadableImageError):
        codec.decode(data, max_pixels=399)
    assert codec.decode(data, max_pixels=400).size == (20, 20)
    assert before == Image.MAX_IMAGE_PIXELS


def test_reading_says_why_it_failed(tmp_path: Path) -> None:
    (tmp_path / "empty.jpg").touch()
    for name, kind in [("empty.jpg", "empty"), ("gone.jpg", "missing"), (".", "not-a-file")]:
        with pytest.raises(UnreadableImageError) as caught:
            codec.read_bytes(bytes(tmp_path / name))
        assert caught.value.kind == kind


def test_a_jpeg_without_its_end_marker_is_not_for_links(tmp_path: Path) -> None:
    whole = encoded(Image.new("RGB", (16, 16)), "JPEG")
    (tmp_path / "whole.jpg").write_bytes(whole)
    (tmp_path / "tail.jpg").write_bytes(whole + b"phone data")
    assert codec.check_for_link(bytes(tmp_path / "whole.jpg")).is_whole
    assert not codec.check_for_link(bytes(tmp_path / "tail.jpg")).is_whole


def test_a_png_is_looked_at_without_its_pixels(tmp_path: Path) -> None:
    def work(side: int) -> int:
        noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
        (tmp_path / "noise.png").write_bytes(encoded(Image.fromarray(noise), "PNG"))
        return calls_within(
            "PIL", lambda: codec.check_for_link(bytes(tmp_path / "noise.png")).is_upright
        )

    work(10)  # the first one imports
    assert 0 < work(900) == work(10)


def test_a_png_that_says_behind_its_pixels_how_it_is_turned_is_not_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = io.BytesIO()
    Image.new("RGB", (9, 9)).save(turned, "PNG", exif=exif)
    data = turned.getvalue()
    start = data.index(b"eXIf") - 4
    end = start + 12 + int.from_bytes(data[start : start + 4], "big")
    last = data.index(b"IEND") - 4
    behind = data[:start] + data[end:last] + data[start:end] + data[last:]
    for name, content in (("before.png", data), ("behind.png", behind)):
        (tmp_path / name).write_bytes(content)
        assert not codec.check_for_link(bytes(tmp_path / name)).is_upright


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".png", ".bmp", ".tif", ".webp"])
def test_an_encoded_image_has_the_endings_format_and_no_metadata(suffix: str) -> None:
    image = Image.new("RGB", (16, 16), (200, 100, 50))
    image.info["exif"] = b"Exif\0\0"
    with Image.open(io.BytesIO(codec.encode(image, suffix))) as again:
        expected = Image.registered_extensions()[suffix.lower()]
        assert again.format == expected
        assert codec.orientation(again) == 1
        assert 0x0112 not in again.getexif()
        value = again.convert("RGB").getpixel((8, 8))
        assert np.allclose(value, (200, 100, 50), atol=2)


def photograph(width: int, height: int, format_name: str, **options: object) -> bytes:
    """A scene under noise, so that no two places look alike."""
    scene = np.asarray(paint(6_000_000).image.resize((width, height))).astype(int)
    noise = np.random.default_rng(0).integers(-30, 31, scene.shape)
    image = Image.fromarray((scene + noise).clip(0, 255).astype(np.uint8))
    return encoded(image, format_name, **options)


@pytest.mark.parametrize(
    ("stored", "side", "decoded"),
    [
        ((800, 1200), 100, (100, 150)),
        ((800, 1200), 101, (200, 300)),  # an eighth would be shorter than the square
        ((801, 1201), 100, (101, 151)),
        ((1600, 399), 200, (1600, 399)),
        ((90, 60), 100, (90, 60)),
    ],
)
@pytest.mark.parametrize("format_name", ["JPEG", "MPO"])
def test_of_a_jpeg_no_more_is_decoded_than_a_square_takes(
    stored: tuple[int, int], side: int, decoded: tuple[int, int], format_name: str
) -> None:
    image, size = codec.decode_scaled(photograph(*stored, format_name), side, 10**8)
    assert (image.size, size) == (decoded, stored)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_scaled_image_is_upright_and_has_its_true_size(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = photograph(800, 600, "JPEG", exif=exif, quality=95)
    whole = codec.decode(data)
    scaled, size = codec.decode_scaled(data, 100, 10**8)
    assert size == whole.size == ((800, 600) if orientation < 5 else (600, 800))
    assert scaled.size == (size[0] // 4, size[1] // 4)
    near = np.asarray(whole.reduce(4)).astype(int) - np.asarray(scaled)
    assert abs(near).mean() < 3  # turned or mirrored it is over 30


def test_what_is_no_jpeg_is_decoded_whole() -> None:
    for name in ("PNG", "WEBP", "TIFF", "BMP"):
        data = photograph(640, 480, name)
        image, size = codec.decode_scaled(data, 50, 10**8)
        assert size == (640, 480)
        assert image.tobytes() == codec.decode(data).tobytes()


def test_scaling_refuses_what_decoding_refuses() -> None:
    data = photograph(400, 400, "JPEG")
    for broken, limit, kind in ((data, 400, "too-large"), (data[:-5000], 10**8, "truncated")):
        with pytest.raises(UnreadableImageError) as caught:
            codec.decode_scaled(broken, 50, limit)
        assert caught.value.kind == kind
