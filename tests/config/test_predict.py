import pytest

from mmml.config.compose import compose_plain
from mmml.config.predict import check_predict
from mmml.errors import UserError

PLAIN = compose_plain([], "predict")["predict"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"reject": 1.0}, "predict.reject=1.0 must be between 0 and 1"),
        ({"reject": 0.0}, "predict.reject=0.0 must be between 0 and 1"),
        ({"neighbors": -1}, "predict.neighbors=-1 must be 0 or more"),
        ({"on_bad_sample": "keep"}, "predict.on_bad_sample=keep must be error or skip"),
        ({"output": ""}, "predict.output"),
        ({"rejct": 0.5}, "predict.rejct is no option; did you mean 'reject'"),
    ],
)
def test_refuses_with_the_option_named(change, message):
    with pytest.raises(UserError, match=message):
        check_predict(PLAIN | change)


def test_what_is_allowed_comes_through():
    found = check_predict(PLAIN | {"neighbors": 0, "reject": 0.99, "on_bad_sample": "skip"})
    assert (found.neighbors, found.reject, found.on_bad_sample) == (0, 0.99, "skip")
    assert check_predict(PLAIN).reject is None
