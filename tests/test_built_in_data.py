"""A few steps on a slice of every dataset."""

import pytest

from mmml import run as runs
from mmml.config import check_config
from mmml.config.compose import compose_plain
from mmml.data.datasets.omniglot import archives
from mmml.evaluation.evaluator import collect_examples, run_evaluators
from mmml.run_directory import RunDirectory
from mmml.training.signals import Stop
from tests.data.making_footage import write_eccv16
from tests.data.slices import OMNIGLOT, slice_emoji, slice_flickr8k, slice_fsdd, slice_omniglot

SHORT = [
    "trainer.steps=2",
    "trainer.validate_every=2",
    "trainer.checkpoint_every=2",
    "evaluation.episodes=4",
]
SHORT += ["evaluation.validation_episodes=2", "evaluation.baselines=[]", "episode.train.ways=2"]
SHORT += [
    "episode.eval.ways=[2]",
    "episode.eval.shots=[1]",
    "episode.eval.queries=1",
    "evaluation/evaluators=[few_shot]",
]
KEYFRAMES = ["evaluation/evaluators=[few_shot,keyframes]", "evaluation.keyframes.shots=[1]"]
ONE_SHOT = ["episode.train.mappings=[image:image]", "episode.eval.mappings=[image:image]"]
AUDIO = ["episode.train.mappings=[audio:audio]", "episode.eval.mappings=[audio:audio,audio:image]"]
TEXT = ["episode.train.mappings=[text:text]", "episode.eval.mappings=[text:text]"]
NAMES = ["episode.train.mappings=[text:image]", "episode.eval.mappings=[text:image,image:text]"]
VIDEO = [
    "encoder.video.channels=8",
    "encoder.video.size=16",
    "episode.train.mappings=[text:video]",
    "episode.eval.mappings=[text:video,video:text]",
]
SCORED = ["task=regression", "episode=regression", "episode.train.ways=1", "episode.eval.ways=[1]"]
SCORED += ["episode.eval.shots=[5]", "evaluation.controls=false"]
SCORES = [*SCORED, "method/classifier=attention"]
FRAMES = [
    "dataset.val_categories=[VT,VU]",
    "dataset.test_categories=[GA]",
    "episode.group_disjoint=true",
    "episode.eval.queries=4",
]
QUARTERS = ["dataset.val=0.25", "dataset.test=0.25"]
CLIPS = [f"episode.{side}.mappings=[video:video]" for side in ("train", "eval")]
CLIPS += ["dataset.domains=12", "dataset.videos=6"]
KEYS = [
    "dataset.classes=motions",
    "dataset.samples=frames",
    "episode.group_disjoint=true",
    *KEYFRAMES,
]
KEYS += ["episode.train.shots=12", "episode.train.queries=12", "episode.eval.queries=12"]
STROKES = [
    "encoder.strokes.points=16",
    "encoder.strokes.channels=16",
    "encoder.strokes.layers=1",
    "encoder.image.channels=8",
    "episode.train.mappings=[strokes:image]",
    "episode.eval.mappings=[image+strokes:image]",
]
PAIRS = [
    "episode=pairs",
    "episode.train.ways=1",
    "episode.train.shots=2",
    "episode.train.queries=3",
]
PAIRS += [
    "episode.eval.ways=[1]",
    "episode.eval.shots=[2]",
    "episode.eval.queries=3",
    "evaluation.lr_search_episodes=0",
]
NAMED = [
    *PAIRS,
    "dataset.languages=[en,de,fr]",
    "dataset.val_languages=[de]",
    "dataset.test_languages=[fr]",
]
NAMED += ["dataset.val=0.2", "dataset.test=0.2"]
KNOWN = ["task=generation", "method/classifier=attention"]
WRITTEN = ["task=generation"]
WRITTEN += [f"method.language_model.{size}" for size in ("width=16", "heads=2", "max_length=12")]
FOUND = ["task=retrieval", "method/classifier=attention"]
TRANSLATED = [f"episode.{s}.mappings=[source_text:source_text]" for s in ("train", "eval")]
TRANSLATED += [
    "dataset.languages=[en,de,fr,es]",
    "dataset.val_languages=[fr]",
    "dataset.test_languages=[de]",
]
LEARNED = ["method=learned_optimizer", "method.init=learned", "encoder.width=16"]
BOTH, SEEN = "audio_features+video_features", "video_features"
STREAMS = [f"episode.train.mappings=[{BOTH}:{BOTH}]"]
LAKE = [
    "dataset.split=small1",
    "dataset.rotations=false",
    "episode=omniglot_official",
    "episode.eval.official_episodes=false",
]

RUNS = {
    "emoji": ["dataset.val=0.2", "dataset.test=0.2", "episode.eval.query_domain=noto", *ONE_SHOT],
    "emoji, names": ["dataset=emoji", "dataset.samples=names", "dataset.languages=[en,de]", *TEXT],
    "emoji_texts, found": [*NAMED, *FOUND],
    "emoji_texts, found by a learned optimizer": [*NAMED, *LEARNED, "task=retrieval"],
    "emoji_texts, known": [*NAMED, *KNOWN],
    "emoji_texts, written": [*NAMED, *LEARNED, *WRITTEN],
    "emoji_texts, translated": [*NAMED, *LEARNED, *WRITTEN, "dataset.source=en", *TRANSLATED],
    "fsdd": ["dataset.speaker=theo", "encoder.audio.channels=8", *AUDIO],
    "flickr8k": ["dataset.size=32", *NAMES],
    "meld_mustard": TEXT,
    "tvsum": [*SCORES, *FRAMES, "encoder=small", "encoder.width=8", *KEYFRAMES],
    "pom": [*SCORES, *STREAMS, f"episode.eval.mappings=[{BOTH}:{BOTH},{BOTH}:{SEEN}]"],
    "ict_mmmo": [*SCORES, *STREAMS, f"episode.eval.mappings=[{BOTH}:{BOTH}]"],
    "ict_mmmo, by a learned optimizer": [
        *SCORED,
        *STREAMS,
        f"episode.eval.mappings=[{BOTH}:{BOTH}]",
        *LEARNED,
    ],
    "pom, by a learned optimizer": [
        *SCORED,
        *STREAMS,
        f"episode.eval.mappings=[{BOTH}:{BOTH}]",
        *LEARNED,
    ],
    "moving_glyphs": ["dataset.scenes=60", *VIDEO],
    "multi30k, known": ["dataset.size=32", *QUARTERS, *PAIRS, *KNOWN],
    "multi30k": ["dataset.size=32", *QUARTERS, *PAIRS, *FOUND],
    "moving_domains, told": [*PAIRS, *LEARNED, *WRITTEN, *VIDEO[:2], *CLIPS],
    "moving_domains, key frames": [*SCORES, *VIDEO[:2], *CLIPS, *KEYS],
    "glyphs": ["dataset.split_by=script", *STROKES],
    "omniglot": LAKE,
}

JUDGED = {
    "emoji": {"image:image"},
    "emoji, names": {"text:text"},
    "emoji_texts, found": {"image:image"},
    "emoji_texts, found by a learned optimizer": {"image:image"},
    "emoji_texts, known": {"image:image"},
    "emoji_texts, written": {"image:image"},
    "emoji_texts, translated": {"source_text:source_text"},
    "fsdd": {"audio:audio", "audio:image"},
    "flickr8k": {"text:image", "image:text"},
    "meld_mustard": {"text:text"},
    "tvsum": {"features:features"},
    "pom": {f"{BOTH}:{BOTH}", f"{BOTH}:{SEEN}"},
    "ict_mmmo": {f"{BOTH}:{BOTH}"},
    "ict_mmmo, by a learned optimizer": {f"{BOTH}:{BOTH}"},
    "pom, by a learned optimizer": {f"{BOTH}:{BOTH}"},
    "moving_glyphs": {"text:video", "video:text"},
    "multi30k": {"image:image"},
    "multi30k, known": {"image:image"},
    "moving_domains, told": {"video:video"},
    "moving_domains, key frames": {"video:video"},
    "glyphs": {"image+strokes:image"},
    "omniglot": {"image:image"},
}


@pytest.fixture(scope="module")
def root(real_data, tmp_path_factory):
    """A folder with slices of what is large, and links to what is not."""
    folder = tmp_path_factory.mktemp("data")
    for make in (slice_emoji, slice_fsdd, slice_flickr8k, slice_omniglot):
        make(real_data, folder)
    for name in ("text_sentiment", "pom_traits", "mmmo_trimodal"):
        (folder / name).symlink_to(real_data / name)
    (folder / "tvsum_annotations").mkdir()
    annotations = folder / "tvsum_annotations" / "ydata-tvsum50.mat"
    annotations.symlink_to(real_data / "tvsum_annotations" / annotations.name)
    write_eccv16(annotations, annotations.with_name("features.h5"), videos=20)
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_a_few_steps(name, root, tmp_path, monkeypatch):
    monkeypatch.setenv("MMML_DATA", str(root))
    monkeypatch.setattr(archives, "CHARACTERS", OMNIGLOT)
    values = compose_plain([f"dataset={name.split(',')[0]}", *SHORT, *RUNS[name]])
    run = RunDirectory(tmp_path / "run").create()
    experiment, trainer = runs.prepare(check_config(values), values, run)
    trainer.fit(Stop())
    runs.finish(experiment, run)
    parts = experiment.evaluators, experiment.context
    results, players = run_evaluators(experiment.learner, experiment.calibration, *parts)
    shown = collect_examples(players, *parts)
    assert trainer.step == 2
    own = experiment.learner.predictor_name
    assert {r.key.mapping for r in results.where(predictor=own)} == JUDGED[name]
    assert bool(shown.get("keyframes")) == ("keyframes" in experiment.config.evaluation.evaluators)
    assert bool(shown.get("answers")) == (experiment.learner.task.form in ("embedding", "text"))
