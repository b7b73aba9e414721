"""Contexts and tables of results for the tests of evaluation."""

from dataclasses import replace

from mmml.config.schema import EvalEpisodes, EvaluationConfig
from mmml.data.base import Granularity
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import run_evaluators
from mmml.evaluation.evaluators.few_shot import FewShot
from mmml.evaluation.evaluators.gallery import Gallery
from mmml.evaluation.setting import episode_settings
from mmml.tasks import tasks

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}
CLASSIFICATION = tasks.build("classification", {}, "task")
OPTIONS = EvaluationConfig(20, 20, 0, [], False)


def settings_of(modalities=MODALITIES, task=CLASSIFICATION, **shape):
    shape = {
        "ways": [3],
        "shots": [1, 2],
        "queries": 2,
        "mappings": ["image:image", "text:image"],
    } | shape
    return episode_settings(EvalEpisodes(**shape), modalities, task)


def context_of(samples, settings=None, modalities=MODALITIES, **options):
    settings = settings_of(modalities) if settings is None else settings
    return EpisodeContext(
        modalities, settings, replace(OPTIONS, **options), {"val": samples, "test": samples}
    )


def measure(context, learner, calibration=None, evaluators=None):
    evaluators = [FewShot(), Gallery(12)] if evaluators is None else evaluators
    return run_evaluators(learner, calibration, evaluators, context)[0]
