"""The section ``predict`` of a config: options of ``mmml-predict`` that training does not have."""

from dataclasses import dataclass, fields
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mmml.errors import UserError, did_you_mean, require


@dataclass
class PredictOptions:
    """The section ``predict``; see ``conf/predict.yaml``."""

    mapping: str | None
    reject: float | None
    neighbors: int
    on_bad_sample: str
    output: str
    columns: dict[str, str] | None
    features: str | None
    decoding: dict[str, Any] | None
    device: str

    def __post_init__(self) -> None:
        require(self.neighbors >= 0, "predict.neighbors", self.neighbors, "0 or more")
        require(
            self.reject is None or 0 < self.reject < 1,
            "predict.reject",
            self.reject,
            "between 0 and 1, or null",
        )
        require(
            self.on_bad_sample in ("error", "skip"),
            "predict.on_bad_sample",
            self.on_bad_sample,
            "error or skip",
        )
        require(bool(self.output), "predict.output", self.output, "the name of a file")


def check_predict(section: dict[str, Any]) -> PredictOptions:
    """Check types, ranges and unknown keys of the section.

    Raises:
        UserError: an option is invalid; one sentence that names it.
    """
    known = [f.name for f in fields(PredictOptions)]
    for key in section:
        if key not in known:
            raise UserError(f"predict.{key} is no option{did_you_mean(key, known)}")
    try:
        found = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(PredictOptions), section))
    except OmegaConfBaseException as error:
        raise UserError(f"predict.{error.full_key}: {str(error).splitlines()[0]}") from None
    assert isinstance(found, PredictOptions)
    return found
