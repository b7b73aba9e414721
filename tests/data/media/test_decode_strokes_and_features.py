import json
import warnings

import numpy as np
import pytest

from mmml.data.media import FILE_MODALITIES, Limits, MediaError, decode, probe
from mmml.errors import UserError


def written(tmp_path, strokes):
    (tmp_path / "strokes").write_text(json.dumps(strokes))
    return tmp_path / "strokes"


def test_strokes_with_times(tmp_path):
    path = written(tmp_path, [[[1, 2, 0], [3, 4.5, 10]], [[-5, 6, 20]]])
    array = decode("strokes", path, Limits())
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array, [[1, 2, 0, 0], [3, 4.5, 10, 0], [-5, 6, 20, 1]])
    assert probe("strokes", path) == {"strokes": 2, "points": 3}


def test_strokes_without_times_count_their_points(tmp_path):
    array = decode("strokes", written(tmp_path, [[[1, 2], [3, 4]], [[5, 6]], [[7, 8]]]), Limits())
    np.testing.assert_array_equal(array, [[1, 2, 0, 0], [3, 4, 1, 0], [5, 6, 2, 1], [7, 8, 3, 2]])


def test_strokes_in_utf_16(tmp_path):
    (tmp_path / "strokes").write_bytes("[[[1, 2]]]".encode("utf-16"))
    np.testing.assert_array_equal(decode("strokes", tmp_path / "strokes", Limits()), [[1, 2, 0, 0]])


@pytest.mark.parametrize("kind", ["<f4", ">f4", "<f8", "<f2", "|i1", "<u8", "|b1", ">i4"])
@pytest.mark.parametrize("shape", [(5,), (3, 4), (1, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_features(tmp_path, kind, shape, order):
    values = np.random.default_rng(0).integers(0, 2, shape).astype(kind, order=order)
    np.save(tmp_path / "file.npy", values)
    array = decode("features", tmp_path / "file.npy", Limits())
    assert array.dtype == np.float32 and array.flags.c_contiguous
    np.testing.assert_array_equal(array, values.astype(np.float32))
    assert probe("features", tmp_path / "file.npy") == {
        "steps": 1 if len(shape) == 1 else shape[0],
        "width": shape[-1],
    }


@pytest.mark.parametrize(
    ("value", "said"),
    [(np.nan, "NaN"), (np.inf, "a number that is infinite or too large"), (1e39, "too large")],
)
def test_features_must_be_finite(tmp_path, value, said):
    matrix = np.zeros((4, 3))
    matrix[2, 1] = value
    np.save(tmp_path / "file.npy", matrix)
    with pytest.raises(MediaError, match=f"{said} at step 2"):
        decode("features", tmp_path / "file.npy", Limits())
    np.save(tmp_path / "file.npy", matrix[2])
    with pytest.raises(MediaError, match=f"{said} at place 1"):
        decode("features", tmp_path / "file.npy", Limits())


def test_errors_are_the_users_and_warnings_are_left_alone(tmp_path):
    assert issubclass(MediaError, UserError)
    assert FILE_MODALITIES == ("image", "audio", "video", "strokes", "features")
    before = list(warnings.filters)
    with pytest.raises(MediaError):
        decode("image", tmp_path, Limits())
    assert warnings.filters == before


def test_limits_compare_and_cannot_change():
    assert Limits() == Limits(256, 16000, 10.0, 16, 112)
    with pytest.raises(AttributeError):
        Limits().image_side = 3


def test_nothing_heavy_is_imported_before_it_is_needed():
    import subprocess
    import sys

    code = (
        "import sys, mmml.data.media; print({'torch', 'av', 'soundfile', 'scipy', "
        "'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
