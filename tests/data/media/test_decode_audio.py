import io
import struct
import tracemalloc
from zipfile import ZipFile

import av
import numpy as np
import pytest
import scipy.io.wavfile
import soundfile

from mmml.data.media import Limits, MediaError, decode, is_constant, probe
from tests.data.media.making import sine, wav_header, write_m4a, write_video, write_wav


def audio(path, limits=Limits()):  # noqa: B008
    array = decode("audio", path, limits)
    assert array.dtype == np.float32 and array.ndim == 1 and abs(array).max() <= 1
    return array


def frequency(signal, rate=16000):
    """The strongest frequency, in Hz, to a fraction of a bin (Gaussian window, parabola
    through the logarithms).
    """
    window = np.exp(-0.5 * np.linspace(-4, 4, len(signal)) ** 2)
    power = np.log(abs(np.fft.rfft(signal * window)) + 1e-12)
    k = int(power.argmax())
    a, b, c = power[k - 1 : k + 2]
    return (k + 0.5 * (a - c) / (a - 2 * b + c)) * rate / len(signal)


def loudness(signal):
    """The amplitude of a sine, away from the ends."""
    middle = signal[len(signal) // 4 : -len(signal) // 4]
    return np.sqrt(2 * np.mean(middle.astype(float) ** 2))


@pytest.mark.parametrize(
    ("subtype", "step"),
    [("PCM_U8", 2**-7), ("PCM_16", 2**-15), ("PCM_24", 2**-23), ("PCM_32", 2**-23), ("FLOAT", 0)],
)
@pytest.mark.filterwarnings("ignore:Chunk")
def test_wav_depths(tmp_path, subtype, step):
    """Read by SciPy too, whose integers are as the file has them."""
    path, signal = tmp_path / "sound.bin", sine(440, 16000)
    soundfile.write(path, signal, 16000, subtype, format="WAV")
    array = audio(path)
    np.testing.assert_allclose(array, signal, atol=step + 1e-7)
    raw = scipy.io.wavfile.read(path)[1]
    scale = {"uint8": 2**7, "int16": 2**15, "int32": 2**31, "float32": 1}[str(raw.dtype)]
    expected = (raw.astype(float) - (128 if subtype == "PCM_U8" else 0)) / scale
    np.testing.assert_allclose(array, expected, atol=1e-7)


def test_channels_are_averaged(tmp_path):
    left, right = sine(300, 16000), sine(500, 16000)
    array = audio(write_wav(tmp_path / "sound", np.column_stack([left, right]), 16000))
    np.testing.assert_allclose(array, (left + right) / 2, atol=1e-4)
    soundfile.write(tmp_path / "six", np.column_stack([left] + [0 * left] * 5), 16000, format="WAV")
    np.testing.assert_allclose(audio(tmp_path / "six"), left / 6, atol=1e-4)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize("wanted", [8000, 16000])
def test_resampling_keeps_pitch_loudness_and_length(tmp_path, rate, wanted):
    array = audio(write_wav(tmp_path / "sound", sine(1000, rate), rate), Limits(audio_rate=wanted))
    assert len(array) == wanted
    assert frequency(array, wanted) == pytest.approx(1000, abs=0.5)
    assert loudness(array) == pytest.approx(0.5, abs=0.005)


def test_resampling_is_the_band_limited_signal(tmp_path):
    path = write_wav(tmp_path / "sound", sine(700, 22050), 22050)
    np.testing.assert_allclose(audio(path)[1000:-1000], sine(700, 16000)[1000:-1000], atol=2e-3)


def test_resampling_removes_what_would_alias(tmp_path):
    assert loudness(audio(write_wav(tmp_path / "sound", sine(15000, 48000), 48000))) < 0.01


@pytest.mark.parametrize(
    ("kind", "subtype", "rate"),
    [
        ("FLAC", "PCM_16", 44100),
        ("FLAC", "PCM_24", 48000),
        ("OGG", "VORBIS", 22050),
        ("OGG", "OPUS", 48000),
        ("MP3", "MPEG_LAYER_III", 44100),
        ("AIFF", "PCM_16", 8000),
        ("WAV", "IMA_ADPCM", 16000),
        ("AU", "ULAW", 8000),
    ],
)
@pytest.mark.parametrize("channels", [1, 2])
def test_formats(tmp_path, kind, subtype, rate, channels):
    path = tmp_path / "sound.txt"
    soundfile.write(
        path, np.column_stack([sine(1000, rate)] * channels), rate, subtype, format=kind
    )
    array = audio(path)
    assert len(array) == pytest.approx(16000, abs=300)  # ADPCM comes in whole blocks
    assert frequency(array) == pytest.approx(1000, abs=0.5)
    assert loudness(array) == pytest.approx(0.5, abs=0.01)
    assert probe("audio", path) == {
        "seconds": pytest.approx(1, abs=0.02),
        "rate": rate,
        "channels": channels,
    }


@pytest.mark.parametrize("container", ["ipod", "mp4", "adts", "matroska"])
@pytest.mark.parametrize("rate", [8000, 44100])
@pytest.mark.parametrize("channels", [1, 2])
def test_aac(tmp_path, container, rate, channels):
    path = write_m4a(
        tmp_path / "sound.wav", np.stack([sine(1000, rate)] * channels), rate, container
    )
    array = audio(path)
    # Whole AAC frames.
    assert len(array) == pytest.approx(16000, abs=6000 if container == "adts" else 3000)
    assert frequency(array[:16000]) == pytest.approx(1000, abs=2)
    assert loudness(array) == pytest.approx(0.5, abs=0.03)
    assert probe("audio", path)["rate"] == rate
    assert probe("audio", path)["channels"] == channels


def test_flac_is_the_same_sound_by_ffmpeg(tmp_path):
    path, signal = tmp_path / "sound", np.random.default_rng(0).uniform(-0.9, 0.9, (9000, 2))
    soundfile.write(path, signal, 16000, format="FLAC")
    with av.open(str(path)) as container:
        frames = [f.to_ndarray().reshape(-1, 2) for f in container.decode(audio=0)]
    np.testing.assert_allclose(audio(path), np.concatenate(frames).mean(1) / 2**15, atol=1e-7)


def test_mp3_is_the_same_sound_by_mpg123(tmp_path):
    path = tmp_path / "sound"
    soundfile.write(
        path, np.column_stack([sine(440, 44100), sine(550, 44100)]), 44100, format="MP3"
    )
    np.testing.assert_allclose(
        audio(path, Limits(audio_rate=44100)), soundfile.read(path)[0].mean(1), atol=1e-5
    )


def test_sound_of_a_film(tmp_path):
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as file:
        picture = file.add_stream("ffv1", rate=10, width=16, height=16, pix_fmt="bgr0")
        sound = file.add_stream("pcm_s16le", rate=16000, layout="mono")
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            frame.pts = i
            file.mux(picture.encode(frame))
        frame = av.AudioFrame.from_ndarray(
            (sine(500, 16000)[None] * 32767).astype(np.int16), "s16", "mono"
        )
        frame.sample_rate = 16000
        file.mux([*sound.encode(frame), *sound.encode(None), *picture.encode(None)])
    np.testing.assert_allclose(audio(path), sine(500, 16000), atol=1e-4)
    assert decode("video", path, Limits()).shape == (5, 3, 16, 16)


def test_what_is_longer_is_cut_off(tmp_path):
    path = write_wav(tmp_path / "sound", sine(440, 22050, 3.0), 22050)
    short = audio(path, Limits(audio_seconds=1.5))
    assert len(short) == 24000
    np.testing.assert_allclose(short, audio(path)[:24000], atol=1e-6)
    path = write_m4a(tmp_path / "sound.m4a", sine(440, 22050, 3.0)[None], 22050)
    assert len(audio(path, Limits(audio_seconds=1.5))) == 24000


def test_floats_beyond_one_are_clipped(tmp_path):
    soundfile.write(tmp_path / "sound", np.array([0.5, 2.0, -3.0]), 16000, "FLOAT", format="WAV")
    np.testing.assert_array_equal(audio(tmp_path / "sound"), [0.5, 1, -1])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_must_be_finite(tmp_path, value):
    soundfile.write(tmp_path / "sound", np.array([0.5, value]), 16000, "FLOAT", format="WAV")
    with pytest.raises(MediaError, match="not finite"):
        audio(tmp_path / "sound")


def test_a_single_sample(tmp_path):
    assert len(audio(write_wav(tmp_path / "sound", np.array([0.5]), 48000))) == 1


@pytest.mark.parametrize("kind", ["WAV", "FLAC"])
def test_no_samples(tmp_path, kind):
    soundfile.write(tmp_path / "sound", np.zeros(0), 16000, format=kind)
    with pytest.raises(MediaError):
        audio(tmp_path / "sound")


@pytest.mark.parametrize(
    ("header", "said"),
    [
        (wav_header(rate=3, data=1000), "sample rate of 3 Hz"),
        (wav_header(rate=2_000_000_000, data=1000), "sample rate of 2,000,000,000 Hz"),
        (wav_header(channels=500, data=1000), "500 channels"),
        (wav_header(data=2000), "cut short: 1,044 bytes of 2,036"),
    ],
)
def test_absurd_headers(tmp_path, header, said):
    (tmp_path / "sound").write_bytes(header + bytes(1000))
    with pytest.raises(MediaError, match=said):
        audio(tmp_path / "sound")


def test_a_wav_from_a_pipe_does_not_know_its_length(tmp_path):
    (tmp_path / "sound").write_bytes(wav_header(data=0xFFFFFFFF, riff=0xFFFFFFFF) + bytes(1000))
    assert len(audio(tmp_path / "sound")) == 1000


def test_a_long_file_is_not_read_whole(tmp_path):
    path = tmp_path / "sound"
    with path.open("wb") as file:
        size = 1 << 30
        file.write(wav_header(rate=16000, data=size))
        file.truncate(44 + size)  # a hole: takes no disk
    tracemalloc.start()
    try:
        assert len(audio(path)) == 160_000
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert probe("audio", path)["seconds"] == pytest.approx(33554, abs=1)


def test_mp3_with_an_id3_tag_of_a_cover(tmp_path):
    buffer = io.BytesIO()
    soundfile.write(buffer, sine(1000, 44100), 44100, format="MP3")
    size = 3000
    tag = b"ID3\x04\x00\x00" + bytes([(size >> s) & 0x7F for s in (21, 14, 7, 0)]) + bytes(size)
    (tmp_path / "sound").write_bytes(tag + buffer.getvalue())
    assert frequency(audio(tmp_path / "sound")) == pytest.approx(1000, abs=0.5)


def test_silent_film_has_no_audio(tmp_path):
    path = write_video(tmp_path / "film", np.zeros((3, 16, 16, 3), np.uint8))
    with pytest.raises(MediaError, match="it has no audio in it"):
        audio(path)


def test_real_recordings(real_data, tmp_path):
    with ZipFile(real_data / "fsdd/fsdd_recordings.zip") as names:
        recordings = [
            n for n in names.namelist() if n.endswith(".wav") and not n.startswith("__MACOSX")
        ]
        for name in recordings[::100]:
            path = tmp_path / "real.mp3"
            path.write_bytes(names.read(name))
            rate, samples = scipy.io.wavfile.read(path)
            assert rate == 8000 == probe("audio", path)["rate"]
            samples = samples.astype(float).reshape(len(samples), -1).mean(1) / 2**15
            np.testing.assert_allclose(
                audio(path, Limits(audio_rate=8000)), samples[:80000], atol=1e-6
            )
            resampled = audio(path)
            assert len(resampled) == 2 * len(samples)
            assert np.corrcoef(resampled[::2], samples)[0, 1] > 0.99


def test_header_struct_is_a_real_one(tmp_path):
    """``wav_header`` itself, by the standard library."""
    import wave

    (tmp_path / "sound").write_bytes(
        wav_header(rate=8000, data=20) + struct.pack("<10h", *range(10))
    )
    with wave.open(str(tmp_path / "sound")) as file:
        assert (file.getframerate(), file.getnframes()) == (8000, 10)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.m4a"])
def test_channels_that_cancel_are_heard_one_at_a_time(tmp_path, name):
    tone = sine(440, 16000).astype(np.float32)
    both = np.stack([tone, -tone], axis=1)
    if name == "a.m4a":
        write_m4a(tmp_path / name, np.ascontiguousarray(both.T), 16000)
    else:
        soundfile.write(tmp_path / name, both, 16000)
    assert loudness(audio(tmp_path / name)) < 0.02
    assert loudness(audio(tmp_path / name, Limits(audio_channel=1))) == pytest.approx(0.5, abs=0.03)
    with pytest.raises(MediaError, match="it has no channel 2: its channels are 0 to 1"):
        audio(tmp_path / name, Limits(audio_channel=2))


def test_silence_is_constant(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), 16000)
    assert is_constant("audio", audio(tmp_path / "a.wav")) and not is_constant(
        "features", np.zeros(3)
    )
