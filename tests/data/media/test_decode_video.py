import numpy as np
import pytest
from PIL import Image, ImageSequence

from mmml.data.media import Limits, MediaError, decode, probe
from mmml.data.media import video as module
from tests.data.media.making import levels, sine, write_m4a, write_video


def video(path, limits=Limits()):  # noqa: B008
    array = decode("video", path, limits)
    assert (
        array.dtype == np.uint8
        and array.ndim == 4
        and array.shape[1] == 3
        and array.flags.c_contiguous
    )
    return array


def shown(array):
    """Which frames of ``levels`` these are."""
    return ((np.median(array, (1, 2, 3)) - 10) / 5).round().astype(int).tolist()


CLIPS = [
    ("libx264", "yuv420p", "mp4"),
    ("libx264", "yuv444p", "mp4"),
    ("mpeg4", "yuv420p", "mp4"),
    ("ffv1", "bgr0", "matroska"),
    ("ffv1", "gray", "matroska"),
    ("ffv1", "yuv444p10le", "matroska"),
    ("ffv1", "yuva420p", "matroska"),
    ("libvpx", "yuv420p", "webm"),
    ("libvpx-vp9", "yuv420p", "webm"),
    ("mjpeg", "yuvj420p", "avi"),
    ("rawvideo", "bgr24", "avi"),
    ("mpeg4", "yuv420p", "avi"),
    ("gif", "gray", "gif"),
]


@pytest.mark.parametrize(("codec", "pixels", "container"), CLIPS)
@pytest.mark.parametrize("count", [1, 5, 40])
def test_formats(tmp_path, codec, pixels, container, count):
    path = write_video(tmp_path / "clip.jpg", levels(count), codec, pixels, container)
    array = video(path)
    assert array.shape == (min(count, 16), 3, 16, 24)
    every = range(count) if count < 16 else [int((i + 0.5) * count / 16) for i in range(16)]
    np.testing.assert_allclose(array.mean((1, 2, 3)), [10 + 5 * i for i in every], atol=3)
    facts = probe("video", path)
    assert (facts["width"], facts["height"]) == (24, 16)
    assert facts["frames"] == count
    assert facts["seconds"] == pytest.approx(count / 10, abs=0.11)


@pytest.mark.parametrize(
    ("count", "frames", "expected"), [(9, 3, [1, 4, 7]), (10, 1, [5]), (4, 4, [0, 1, 2, 3])]
)
def test_frames_are_chosen_from_the_middles_of_equal_parts(tmp_path, count, frames, expected):
    path = write_video(tmp_path / "clip", levels(count))
    assert shown(video(path, Limits(video_frames=frames))) == expected


@pytest.mark.parametrize("packets", [0, 3, 100])
def test_a_wrong_count_of_packets_changes_nothing(tmp_path, monkeypatch, packets):
    path = write_video(tmp_path / "clip", levels(20))
    expected = video(path, Limits(video_frames=4))
    monkeypatch.setattr(module, "_count_packets", lambda file: packets)
    np.testing.assert_array_equal(video(path, Limits(video_frames=4)), expected)
    assert shown(expected) == [2, 7, 12, 17]


def test_colours_and_places_are_kept(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (3, 10, 14, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        video(write_video(tmp_path / "clip", pixels)), pixels.transpose(0, 3, 1, 2)
    )
    path = write_video(tmp_path / "raw", pixels, "rawvideo", "bgr24", "avi")
    np.testing.assert_array_equal(video(path), pixels.transpose(0, 3, 1, 2))


def test_odd_sizes(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 13, 17, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        video(write_video(tmp_path / "clip", pixels)), pixels.transpose(0, 3, 1, 2)
    )
    path = write_video(tmp_path / "yuv", levels(3, 13, 17), "ffv1", "yuv420p")
    np.testing.assert_allclose(video(path).mean((1, 2, 3)), [10, 15, 20], atol=2)


@pytest.mark.parametrize(
    ("size", "shape"), [((60, 240), (28, 112)), ((240, 60), (112, 28)), ((112, 90), (112, 90))]
)
def test_large_frames_shrink(tmp_path, size, shape):
    assert video(write_video(tmp_path / "clip", levels(2, *size))).shape == (2, 3, *shape)


def test_shrinking_is_antialiased(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (1, 60, 80, 3), dtype=np.uint8)
    array = video(write_video(tmp_path / "clip", pixels), Limits(video_side=20))
    means = pixels.reshape(15, 4, 20, 4, 3).mean((1, 3)).transpose(2, 0, 1)
    np.testing.assert_allclose(array[0], means, atol=4)


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_rotation(tmp_path, degrees):
    pixels = np.zeros((2, 16, 24, 3), np.uint8)
    pixels[:, :8, :12] = 200  # the upper left corner
    path = write_video(tmp_path / "clip", pixels, "mpeg4", "yuv420p", "mp4", rotation=degrees)
    expected = np.rot90(pixels[0, ..., 0], degrees // 90)
    np.testing.assert_allclose(video(path)[0, 0].astype(int), expected, atol=12)


def test_sound_is_no_video(tmp_path):
    with pytest.raises(MediaError, match="it has no video in it"):
        video(write_m4a(tmp_path / "sound.mp4", sine(440, 8000)[None], 8000))


def test_a_picture_is_no_video(tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "clip.mp4", "PNG")
    with pytest.raises(MediaError, match="no video file of a known format"):
        video(tmp_path / "clip.mp4")


def test_a_playlist_opens_no_other_file(tmp_path):
    clip = write_video(tmp_path / "clip.mkv", levels(3))
    (tmp_path / "list.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{clip}\n#EXT-X-ENDLIST\n"
    )
    (tmp_path / "list.txt").write_text(f"ffconcat version 1.0\nfile {clip.name}\n")
    for name in ("list.m3u8", "list.txt"):
        with pytest.raises(MediaError, match="no video file of a known format"):
            video(tmp_path / name)


@pytest.mark.parametrize(("name", "value"), [("MAX_FRAMES", 9), ("MAX_PIXELS", 9 * 16 * 24)])
def test_long_clips_are_refused(tmp_path, monkeypatch, name, value):
    monkeypatch.setattr(module, name, value)
    assert len(video(write_video(tmp_path / "short", levels(9)))) == 9
    path = write_video(tmp_path / "long", levels(10))
    with pytest.raises(MediaError, match="more than 9 frames of 24 × 16"):
        video(path)
    # Nor if the packets do not show it.
    monkeypatch.setattr(module, "_count_packets", lambda file: 1)
    with pytest.raises(MediaError, match="more than 9 frames of 24 × 16"):
        video(path)


def test_huge_frames_are_refused(tmp_path):
    path = tmp_path / "clip.gif"
    Image.new("L", (8, 8)).save(path)
    data = bytearray(path.read_bytes())
    data[6:10] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    with pytest.raises(MediaError):
        video(path)


def test_real_gestures(real_data):
    """Compared with every frame decoded and kept, and shrunk by Pillow."""
    import av

    for path in sorted((real_data / "video_clips/asl_gestures").glob("*.mkv"))[::7]:
        array = video(path)
        assert array.shape == (16, 3, 84, 112)
        with av.open(str(path)) as container:
            frames = list(container.decode(video=0))
        assert probe("video", path)["frames"] == len(frames)
        for i in (0, 7, 15):
            picture = frames[int((i + 0.5) * len(frames) / 16)].to_image()
            expected = np.asarray(picture.resize((112, 84), Image.Resampling.BOX)).transpose(
                2, 0, 1
            )
            assert abs(array[i].astype(int) - expected).mean() < 3


def test_real_gifs(real_data):
    """Compared with Pillow, which shares no code with FFmpeg."""
    for path in sorted((real_data / "video_clips/gif").glob("*.gif")):
        array = video(path)
        assert array.shape == (16, 3, 63, 112)
        with Image.open(path) as picture:
            frames = [
                f.convert("RGB").resize((112, 63), Image.Resampling.BOX)
                for f in ImageSequence.Iterator(picture)
            ]
        assert probe("video", path)["frames"] == len(frames)
        for i in range(16):
            expected = np.asarray(frames[int((i + 0.5) * len(frames) / 16)]).transpose(2, 0, 1)
            assert abs(array[i].astype(int) - expected).mean() < 3


def test_an_unknown_codec(tmp_path):
    path = write_video(tmp_path / "clip", levels(2), "mjpeg", "yuvj420p", "avi")
    path.write_bytes(path.read_bytes().replace(b"MJPG", b"?!?!"))
    with pytest.raises(MediaError, match="no decoder is known for its video"):
        video(path)


def test_cover_art_is_no_video(tmp_path):
    import av

    path = tmp_path / "song.mkv"
    with av.open(str(path), "w", format="matroska") as file:
        sound = file.add_stream("pcm_s16le", rate=8000, layout="mono")
        Image.new("RGB", (16, 16)).save(tmp_path / "cover.jpg")
        file.add_attachment("cover.jpg", "image/jpeg", (tmp_path / "cover.jpg").read_bytes())
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        frame.sample_rate = 8000
        file.mux([*sound.encode(frame), *sound.encode(None)])
    with pytest.raises(MediaError, match="it has no video in it"):
        video(path)
    assert decode("audio", path, Limits()).shape == (1600,)
