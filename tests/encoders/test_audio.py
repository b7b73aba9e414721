import numpy as np
import pytest
import torch

from mmml.encoders.logmel import FLOOR, clips, frames_of, log_mel, log_mel_of
from mmml.encoders.logmel_conv import hide_spans, scaled
from mmml.encoders.raw import RawAudio
from tests.encoders.material import RAGGED, build, objects

CPU = torch.device("cpu")


def test_log_mel_is_that_of_transformers():
    from transformers.audio_utils import mel_filter_bank, spectrogram, window_function

    wave = np.random.default_rng(0).normal(0, 0.1, 400 + 160 * 20).astype(np.float32)
    filters = mel_filter_bank(257, 40, 0.0, 8000.0, 16_000, norm=None, mel_scale="htk")
    options = {
        "fft_length": 512,
        "power": 2.0,
        "center": False,
        "mel_floor": FLOOR,
        "log_mel": "log",
    }
    theirs = spectrogram(
        wave, window_function(400, "hann"), 400, 160, mel_filters=filters, **options
    )
    ours = log_mel(torch.from_numpy(wave)[None], 40, 160)[0]
    assert ours.shape == (21, 40)
    assert torch.allclose(ours.T, torch.from_numpy(theirs).float(), atol=1e-4)


@pytest.mark.parametrize(
    ("samples", "frames"), [(0, 1), (1, 1), (400, 1), (401, 2), (560, 2), (561, 3)]
)
def test_windows_cover_every_sample(samples, frames):
    assert frames_of(samples, 160) == frames
    spectrum = log_mel_of([torch.ones(samples), torch.ones(5000)], 16, 160, CPU)
    assert int((~spectrum[0, :, 0].isnan()).sum()) == frames


def test_a_pure_tone_is_where_it_should_be():
    tone = torch.sin(2 * torch.pi * 1000 * torch.arange(4000) / 16_000)
    loudest = log_mel(tone[None], 40, 160)[0, 5].argmax()
    centres = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), 42)[1:-1] / 2595) - 1)
    assert loudest == np.abs(centres - 1000).argmin()


def test_loudness_does_not_matter():
    sounds = RAGGED["audio"]
    encoder = build("logmel_conv").eval()
    assert torch.allclose(
        encoder.encode(sounds), encoder.encode(objects([s * 3 for s in sounds])), atol=1e-2
    )


def test_silence_is_finite():
    silence = objects([np.zeros(1000, np.float32), np.zeros(0, np.float32)])
    assert build("logmel_conv").eval().encode(silence).isfinite().all()


def test_only_so_many_seconds_are_read():
    encoder = build("logmel_conv").eval()  # 0.3 s
    sound = RAGGED["audio"][3]
    assert torch.equal(encoder.encode([sound]), encoder.encode([sound[:4800]]))


def test_padding_leaves_training_statistics_alone():
    alone, among = build("logmel_conv", augment=0.0), build("logmel_conv", augment=0.0)
    sound = RAGGED["audio"][0]
    alone.encode([sound, sound])
    x = among.prepare([sound, sound])
    among(torch.nn.functional.pad(x, (0, 0, 0, 40), value=torch.nan))
    for name, value in alone.state_dict().items():
        assert torch.allclose(value, among.state_dict()[name], atol=1e-5), name


def test_spans_are_hidden_within_the_sound_and_padding_stays():
    torch.manual_seed(0)
    x = scaled(log_mel_of(clips(RAGGED["audio"]), 16, 160, CPU))
    hidden = hide_spans(x, 0.5)
    assert torch.equal(hidden.isnan(), x.isnan())
    changed = (hidden != x) & ~x.isnan()
    assert changed.any() and (hidden[changed] == 0).all()
    assert changed.float().mean() < 0.8


def test_long_sounds_are_averaged_down_for_the_baseline():
    long = RawAudio().encode([np.random.default_rng(0).normal(size=80_000).astype(np.float32)])
    assert long.shape == (1, 64 * 40) and long.isfinite().all()
