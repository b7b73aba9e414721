import struct
import tracemalloc
import zlib
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from mmml.data.media import Limits, MediaError, decode, is_constant, probe
from mmml.errors import UserError
from tests.data.media.making import bmp_header, by_ffmpeg

RANDOM = np.random.default_rng(0)
RGB = RANDOM.integers(0, 256, (5, 7, 3), dtype=np.uint8)
GREY = RGB[..., 0]
ALPHA = RANDOM.integers(0, 256, (5, 7), dtype=np.uint8)
INDEX = RANDOM.integers(0, 4, (5, 7), dtype=np.uint8)
PALETTE = np.array([[255, 0, 0], [0, 255, 0], [0, 0, 255], [9, 99, 199]], np.uint8)


def image(path, limits=Limits()):  # noqa: B008
    array = decode("image", path, limits)
    assert array.dtype == np.uint8 and array.flags.c_contiguous
    return array


def saved(tmp_path, picture, kind, **options):
    path = tmp_path / "image.bin"
    picture.save(path, kind, **options)
    return path


def on_white(colours, alpha):
    weight = (alpha / 255.0)[..., None] if colours.ndim == 3 else alpha / 255.0
    return colours * weight + 255 * (1 - weight)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF"])
def test_grey(tmp_path, kind):
    np.testing.assert_array_equal(image(saved(tmp_path, Image.fromarray(GREY), kind)), GREY[None])


def test_grey_gif_has_a_palette(tmp_path):
    array = image(saved(tmp_path, Image.fromarray(GREY), "GIF"))
    np.testing.assert_array_equal(array, np.broadcast_to(GREY, array.shape))


@pytest.mark.parametrize("kind", ["PNG", "BMP", "PPM", "TIFF", "GIF"])
def test_one_bit(tmp_path, kind):
    path = saved(tmp_path, Image.fromarray(GREY > 127), kind)
    np.testing.assert_array_equal(image(path), (GREY > 127)[None] * np.uint8(255))


@pytest.mark.parametrize(
    ("kind", "options"),
    [("PNG", {}), ("BMP", {}), ("PPM", {}), ("TIFF", {}), ("WEBP", {"lossless": True})],
)
def test_colour(tmp_path, kind, options):
    path = saved(tmp_path, Image.fromarray(RGB), kind, **options)
    np.testing.assert_array_equal(image(path), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff(tmp_path, compression):
    path = saved(tmp_path, Image.fromarray(RGB), "TIFF", compression=compression)
    np.testing.assert_array_equal(image(path), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_transparent_grey_lies_on_white(tmp_path, kind):
    path = saved(tmp_path, Image.fromarray(np.dstack([GREY, ALPHA]), "LA"), kind)
    assert image(path).shape == (1, 5, 7)
    np.testing.assert_allclose(image(path)[0], on_white(GREY, ALPHA), atol=0.6)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True, "exact": True})]
)
def test_transparent_colour_lies_on_white(tmp_path, kind, options):
    path = saved(tmp_path, Image.fromarray(np.dstack([RGB, ALPHA])), kind, **options)
    np.testing.assert_allclose(image(path), on_white(RGB, ALPHA).transpose(2, 0, 1), atol=0.6)


def palette():
    picture = Image.frombytes("P", (7, 5), INDEX.tobytes())
    picture.putpalette(PALETTE.tobytes())
    return picture


@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP", "TIFF"])
def test_palette(tmp_path, kind):
    np.testing.assert_array_equal(
        image(saved(tmp_path, palette(), kind)), PALETTE[INDEX].transpose(2, 0, 1)
    )


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_with_a_transparent_colour(tmp_path, kind):
    path = saved(tmp_path, palette(), kind, transparency=1)
    expected = np.where((INDEX == 1)[..., None], np.uint8(255), PALETTE[INDEX])
    np.testing.assert_array_equal(image(path), expected.transpose(2, 0, 1))


def test_palette_with_degrees_of_transparency(tmp_path):
    path = saved(tmp_path, palette(), "PNG", transparency=bytes([0, 64, 128, 255]))
    alpha = np.array([0, 64, 128, 255])[INDEX]
    np.testing.assert_allclose(
        image(path), on_white(PALETTE[INDEX], alpha).transpose(2, 0, 1), atol=0.6
    )


def test_grey_with_a_transparent_level(tmp_path):
    path = saved(tmp_path, Image.fromarray(INDEX), "PNG", transparency=2)
    np.testing.assert_array_equal(image(path)[0], np.where(INDEX == 2, 255, INDEX))


def test_cmyk(tmp_path):
    cmyk = RANDOM.integers(0, 256, (5, 7, 4), dtype=np.uint8)
    expected = (255.0 - cmyk[..., :3]) * (255.0 - cmyk[..., 3:]) / 255
    path = saved(tmp_path, Image.fromarray(cmyk, "CMYK"), "TIFF")
    np.testing.assert_allclose(image(path), expected.transpose(2, 0, 1), atol=1)
    flat = np.full((16, 16, 4), [200, 100, 50, 20], np.uint8)
    path = saved(tmp_path, Image.fromarray(flat, "CMYK"), "JPEG", quality=95)
    np.testing.assert_allclose(image(path)[:, 8, 8], [50.7, 142.9, 188.9], atol=4)


WIDE = np.array([[0, 255, 256], [0x8000, 0xFEFF, 0xFFFF]], np.uint16)


@pytest.mark.parametrize(("kind", "order"), [("PNG", "<"), ("TIFF", "<"), ("TIFF", ">")])
def test_16_bits_keep_the_upper_8(tmp_path, kind, order):
    mode = "I;16" if order == "<" else "I;16B"
    picture = Image.frombytes(mode, (3, 2), WIDE.astype(f"{order}u2").tobytes())
    np.testing.assert_array_equal(
        image(saved(tmp_path, picture, kind)), [[[0, 0, 1], [0x80, 0xFE, 0xFF]]]
    )


def test_16_bit_pgm_and_ppm(tmp_path):
    path = tmp_path / "image.bin"
    path.write_bytes(b"P5 3 2 65535\n" + WIDE.astype(">u2").tobytes())
    np.testing.assert_array_equal(image(path), [[[0, 0, 1], [0x80, 0xFE, 0xFF]]])
    path.write_bytes(b"P6 2 1 65535\n" + WIDE.astype(">u2").tobytes())
    np.testing.assert_allclose(image(path)[:, 0].T, WIDE / 257, atol=1)


def test_grey_levels_of_a_pgm_are_stretched(tmp_path):
    path = tmp_path / "image.bin"
    path.write_bytes(b"P5 4 1 3\n\x00\x01\x02\x03")
    np.testing.assert_array_equal(image(path), [[[0, 85, 170, 255]]])


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_32_bit_pixels_are_refused(tmp_path, kind):
    with pytest.raises(MediaError, match="32-bit"):
        image(saved(tmp_path, Image.fromarray(GREY.astype(kind)), "TIFF"))


# How an upright image is stored, by the value of its orientation tag (EXIF 2.3, 4.6.4).
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: np.rot90,
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", STORED)
def test_exif_rotation(tmp_path, kind, orientation):
    picture = Image.fromarray(np.ascontiguousarray(STORED[orientation](RGB)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(
        tmp_path, picture, kind, exif=exif, **({"lossless": True} if kind == "WEBP" else {})
    )
    np.testing.assert_array_equal(image(path), RGB.transpose(2, 0, 1))


@pytest.mark.parametrize("orientation", STORED)
def test_exif_rotation_of_a_photograph(tmp_path, orientation):
    upright = np.kron(
        np.array([[0, 80, 160], [255, 40, 120]], np.uint8), np.ones((16, 16), np.uint8)
    )
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = Image.fromarray(np.ascontiguousarray(STORED[orientation](upright)))
    np.testing.assert_allclose(
        image(saved(tmp_path, picture, "JPEG", exif=exif))[0], upright, atol=3
    )


@pytest.mark.parametrize(
    "exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01", b"Exif\0\0MM\0*\0\0"]
)
def test_damaged_exif_does_no_harm(tmp_path, exif):
    path = saved(tmp_path, Image.fromarray(RGB), "PNG", exif=exif)
    np.testing.assert_array_equal(image(path), RGB.transpose(2, 0, 1))


def test_first_frame_of_an_animation(tmp_path):
    frames = [Image.fromarray(np.full((4, 4), level, np.uint8)) for level in (50, 100, 150)]
    for kind, options in (("GIF", {}), ("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        path = saved(tmp_path, frames[0], kind, save_all=True, append_images=frames[1:], **options)
        assert (image(path) == 50).all(), kind


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("WEBP", {}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_as_ffmpeg_decodes_it(tmp_path, kind, options, mode):
    x, y = np.meshgrid(np.arange(64), np.arange(48))
    smooth = np.dstack([x * 4, y * 5, (x + y) * 2]).astype(np.uint8)
    path = saved(tmp_path, Image.fromarray(smooth).convert(mode), kind, **options)
    array = image(path)
    assert len(array) == (1 if mode == "L" and kind not in ("GIF", "WEBP") else 3)
    expected = by_ffmpeg(path)[..., :3].transpose(2, 0, 1)[: len(array)]
    lossy = kind in ("JPEG", "WEBP")  # FFmpeg enlarges their colour planes in another way
    np.testing.assert_allclose(array.astype(int), expected, atol=8 if lossy else 0)
    assert abs(array.astype(int) - expected).mean() < 2


@pytest.mark.parametrize(
    ("size", "shape"), [((600, 300), (128, 256)), ((300, 600), (256, 128)), ((1, 900), (256, 1))]
)
def test_large_images_shrink(tmp_path, size, shape):
    assert image(saved(tmp_path, Image.new("RGB", size), "PNG")).shape == (3, *shape)


def test_small_images_do_not_grow(tmp_path):
    assert image(saved(tmp_path, Image.new("L", (256, 20)), "PNG")).shape == (1, 20, 256)


def test_shrinking_is_antialiased(tmp_path):
    board = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)
    shrunk = image(saved(tmp_path, Image.fromarray(board), "PNG"), Limits(image_side=100))
    assert shrunk.shape == (1, 100, 100)
    assert abs(shrunk.astype(int) - 127).max() <= 2


@pytest.mark.parametrize("mode", ["1", "P"])
def test_shrinking_blends_colours_not_indices(tmp_path, mode):
    board = Image.fromarray((np.indices((200, 200)).sum(0) % 2 * 255).astype(np.uint8)).convert(
        mode
    )
    shrunk = image(saved(tmp_path, board, "PNG"), Limits(image_side=50))
    assert abs(shrunk.astype(int) - 127).max() <= 2


def test_a_large_photograph_shrinks_while_it_is_decoded(tmp_path):
    x, y = np.meshgrid(np.linspace(0, 255, 1600), np.linspace(0, 255, 1200))
    picture = Image.fromarray(np.dstack([x, y, 255 - x]).astype(np.uint8))
    array = image(saved(tmp_path, picture, "JPEG", quality=95), Limits(image_side=64))
    assert array.shape == (3, 48, 64)
    expected = np.asarray(picture.resize((64, 48), Image.Resampling.BOX)).transpose(2, 0, 1)
    np.testing.assert_allclose(array.astype(int), expected, atol=4)


def test_content_decides_not_the_extension(tmp_path):
    path = tmp_path / "image.npy"
    Image.fromarray(RGB).save(path, "PNG")
    np.testing.assert_array_equal(image(path), RGB.transpose(2, 0, 1))


def test_probe(tmp_path):
    path = saved(tmp_path, Image.new("CMYK", (700, 300)), "JPEG")
    assert probe("image", path) == {"width": 700, "height": 300, "mode": "CMYK"}


@pytest.mark.parametrize("size", [(20_000, 20_000), (10_001, 10_000), (2**31 - 1, 2**31 - 1)])
def test_bombs_are_refused_by_their_header(tmp_path, size):
    path = tmp_path / "bomb"
    path.write_bytes(bmp_header(*size))
    tracemalloc.start()
    try:
        for refuse in (lambda: image(path), lambda: probe("image", path)):
            with pytest.raises(MediaError, match="more than 100,000,000 pixels"):
                refuse()
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_pictures_that_would_run_a_program_are_refused(tmp_path):
    path = tmp_path / "image.eps"
    Image.new("RGB", (9, 9)).save(path, "EPS")
    with pytest.raises(MediaError, match="no image of a known format"):
        image(path)


def test_png_of_16_bit_colour(tmp_path):
    """Written by hand: Pillow cannot."""

    def chunk(name, data):
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    row = b"\0" + WIDE.astype(">u2").tobytes()
    header = struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0)
    path = tmp_path / "image"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(row))
        + chunk(b"IEND", b"")
    )
    np.testing.assert_array_equal(image(path)[:, 0].T, WIDE >> 8)


def real(folder, archive, tmp_path, count):
    with ZipFile(folder / archive) as names:
        pictures = [
            n for n in names.namelist() if n.endswith(".png") and not n.startswith("__MACOSX")
        ]
        for name in pictures[:: len(pictures) // count][:count]:
            path = tmp_path / "real.png"
            path.write_bytes(names.read(name))
            yield path


def test_real_emoji(real_data, tmp_path):
    for path in real(real_data, "emoji/noto.zip", tmp_path, 20):
        rgba = by_ffmpeg(path)
        expected = on_white(rgba[..., :3], rgba[..., 3])
        np.testing.assert_allclose(image(path), expected.transpose(2, 0, 1), atol=0.6)


def test_real_omniglot(real_data, tmp_path):
    for path in real(real_data, "omniglot/omniglot_images.zip", tmp_path, 20):
        np.testing.assert_array_equal(image(path), by_ffmpeg(path)[None, ..., 0])
        assert probe("image", path) == {"width": 105, "height": 105, "mode": "1"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ("full", [0, 0, 15]),
        ("each", [0, 1, 255]),
        ([0, 4095], [0, 1, 255]),
        ([5, 15], [0, 255, 255]),
    ],
)
def test_the_range_of_sixteen_bits_can_be_named(tmp_path, values, expected):
    path = saved(tmp_path, Image.fromarray(np.array([[0, 16, 4095]], np.uint16)), "PNG")
    assert image(path, Limits(image_range=values)).ravel().tolist() == expected


def test_numbers_of_32_bits_take_a_range_of_their_own(tmp_path):
    path = saved(tmp_path, Image.fromarray(np.array([[-1.0, 0.0, 1.0]], np.float32)), "TIFF")
    with pytest.raises(MediaError, match="image_range=each takes each picture's"):
        image(path)
    assert image(path, Limits(image_range="each")).ravel().tolist() == [0, 128, 255]
    path = saved(tmp_path, Image.fromarray(np.array([[np.nan, 0.0]], np.float32)), "TIFF")
    with pytest.raises(MediaError, match="not all finite"):
        image(path, Limits(image_range="each"))


def test_light_drawings_on_a_transparent_ground_need_a_dark_background(tmp_path):
    pixels = np.full((1, 3, 4), 255, np.uint8)
    pixels[0, :, 3] = [0, 255, 128]
    path = saved(tmp_path, Image.fromarray(pixels), "PNG")
    white, black = image(path), image(path, Limits(image_background="black"))
    assert is_constant("image", white) and not is_constant("image", black)
    assert black[0, 0].tolist() == [0, 255, 128]


def test_a_fourth_byte_that_is_zero_throughout_hides_nothing(tmp_path):
    pixels = np.dstack([RGB, np.zeros_like(ALPHA)])
    assert np.array_equal(
        image(saved(tmp_path, Image.fromarray(pixels), "PNG")), RGB.transpose(2, 0, 1)
    )


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"image_range": "auto"}, "image_range=auto must be full, each, or two numbers"),
        ({"image_range": [3, 3]}, "must be full, each, or two numbers"),
        ({"image_background": "grey"}, "image_background=grey must be white or black"),
        ({"audio_channel": -1}, "audio_channel=-1 must be 0 or more, or null"),
    ],
)
def test_how_media_are_decoded_is_checked(options, why):
    with pytest.raises(UserError, match=why):
        Limits(**options)


@pytest.mark.parametrize("count", [1, 40])
def test_what_is_written_about_a_png_may_be_long(tmp_path, count):
    notes = PngImagePlugin.PngInfo()
    for number in range(count):
        notes.add_text(f"note {number}", "x" * 2_000_000, zip=True)
    path = saved(tmp_path, Image.fromarray(RGB), "PNG", pnginfo=notes, icc_profile=bytes(2_000_000))
    np.testing.assert_array_equal(image(path), RGB.transpose(2, 0, 1))
