"""The experiments that ``scripts/reproduce.py`` can reproduce: their runs, and the figures to read
from them.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from readings import Areas, Calibration, Found, Score, Verdicts
from results import Figure, Published
from tvsum_floors import floors

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
ARTWORKS = ("blob", "noto", "openmoji", "twemoji")
# A local folder, or a name on the hub.
MINILM = os.environ.get("MMML_MINILM", "sentence-transformers/all-MiniLM-L6-v2")
READ_BY_MINILM = ("encoder/text=pretrained_text", f"encoder.text.model={MINILM}")
UPRIGHT = ("dataset.rotations=false", "episode.train.task_augmentation=0", "trainer.steps=1000")
DIALOGUE = ("experiment=sentiment_meld_mustard", *READ_BY_MINILM)
FUSIONS = ("mean", "concat", "gated", "attention")


Evaluations = Mapping[str, Sequence[str]]
"""Options of ``mmml-eval`` by the name of the evaluation."""
NONE: Evaluations = {}


@dataclass(frozen=True)
class GridCell:
    """One training run and its evaluations.

    Attributes:
        options: of ``mmml-train``; ``HOME/NAME`` is replaced by the folder of another cell, which
            is run before.
        evaluations: of the run.
        unit: figures are means over units, such as seeds or speakers; cells of one unit are
            averaged first.
        group: figures select cells by group, such as those of one fusion.
    """

    options: Sequence[str]
    evaluations: Evaluations = field(default_factory=dict)
    unit: str = "0"
    group: str = ""

    @property
    def seed(self) -> int:
        """The seed of training."""
        return int(next((o[5:] for o in self.options if o.startswith("seed=")), 0))


@dataclass(frozen=True)
class Reproduction:
    """Some runs and the figures to read from them.

    Attributes:
        topic: the table of ``docs/results.md``.
        experiment: in words.
        cells: the runs by name, in the order in which they are run.
        figures: functions that read figures from the folders of all cells.
        over: the kind of the cells' units, such as seeds.
    """

    topic: str
    experiment: str
    cells: Mapping[str, GridCell]
    figures: Sequence[Callable[[Found], list[Figure]]]
    over: str = "seeds"


def seeds(
    count: int, *options: str, group: str = "", evaluations: Evaluations = NONE
) -> dict[str, GridCell]:
    """Return the same run with several seeds."""
    begin = f"{group}-" if group else ""
    return {
        f"{begin}seed{s}": GridCell([*options, f"seed={s}"], evaluations, str(s), group)
        for s in range(count)
    }


def one(*options: str, group: str = "", evaluations: Evaluations = NONE) -> dict[str, GridCell]:
    """Return a single run."""
    return {group or "run": GridCell(options, evaluations, group=group)}


def leaving_out(experiment: str) -> dict[str, GridCell]:
    """Return one run for each test speaker and pair of digits; two other speakers are for
    validation.
    """
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    held = [(pairs[i - 1], pairs[i]) for i in range(len(pairs))]
    return {
        f"{speaker}-{a}{b}": GridCell(
            [
                f"experiment={experiment}",
                f"dataset.speaker={speaker}",
                f"dataset.val_digits=[{val[0]},{val[1]}]",
                f"dataset.test_digits=[{a},{b}]",
            ],
            unit=speaker,
        )
        for speaker, (val, (a, b)) in product(SPEAKERS, held)
    }


def classified(mapping: str, *columns: tuple[int, int], **more: Any) -> list[Score]:
    """Return the accuracies of a mapping by ways and shots."""
    return [Score(mapping, f"{ways}-way {shots}-shot", **more) for ways, shots in columns]


def ranked(a: str, b: str, *metrics: str) -> list[Score]:
    """Return both directions of ranking between two modalities, among all classes."""
    return [
        Score(f"{x} → {y}", metric)
        for x, y in ((a, b), (b, a))
        for metric in metrics or ("R@1", "R@10")
    ]


def official_runs(experiment: str, *options: str, runs: int) -> Reproduction:
    """Omniglot's official one-shot runs, with one view and with eight."""
    people = Published(4.5, None, "people, Lake et al. 2015")
    figures = [
        Score(
            "image:image",
            "20-way 1-shot",
            error=True,
            published=people,
            evaluations=(which,),
            label=label,
        )
        for which, label in (("test", None), ("views", "eight views"))
    ]
    cells = seeds(
        runs,
        "experiment=omniglot_one_shot",
        *options,
        evaluations={"views": ["evaluation.tta_views=8"]},
    )
    return Reproduction("omniglot", experiment, cells, figures)


def of_artworks(experiment: str, *options: str, runs: int) -> Reproduction:
    """Queries from one artwork and support sets from the three others, with one view and with
    eight.
    """
    once = {f"{a}-once": [f"episode.eval.query_domain={a}"] for a in ARTWORKS}
    views = {a: [f"episode.eval.query_domain={a}", "evaluation.tta_views=8"] for a in ARTWORKS}
    figures = [
        Score("image:image", "20-way 1-shot", evaluations=tuple(which), label=label)
        for label, which in (("four artworks", once), ("four artworks, eight views", views))
    ]
    cells = seeds(runs, "experiment=emoji", *options, evaluations={**once, **views})
    return Reproduction("emoji", experiment, cells, figures)


def named(experiment: str, *options: str) -> Reproduction:
    """Emoji by their names, in English and in a language that was never paired with images."""
    figures = [
        Score("text:image", "5-way 1-shot", evaluations=(which,), label=label)
        for which, label in (("test", "English names"), ("german", "German names"))
    ]
    cells = seeds(
        5, "experiment=emoji_names", *options, evaluations={"german": ["dataset.languages=[de]"]}
    )
    return Reproduction("emoji", experiment, cells, figures)


def spoken(experiment: str, name: str, mapping: str) -> Reproduction:
    """The digits of each speaker, compared with dynamic time warping."""
    figures = [Score(mapping, "2-way 1-shot", error=True)]
    return Reproduction("spoken", experiment, leaving_out(name), figures, over="speakers")


def verdict_of(experiment: str, *options: str) -> Reproduction:
    """An application and its verdict (whether adaptation helps)."""
    return Reproduction("applications", experiment, one(*options), [Verdicts()], over="episodes")


def by_optimizer(experiment: str, *options: str) -> Reproduction:
    """An application with the learned optimizer."""
    cells = one(*options, "method=learned_optimizer")
    return Reproduction("applications-optimizer", experiment, cells, [Verdicts()], over="episodes")


def robust(experiment: str, name: str, chosen: str) -> Reproduction:
    """The fusion that was chosen on validation, and concatenation, with missing and noisy
    modalities.
    """
    # Without robustness, because a fusion is chosen first.
    alone = [f"experiment={name}", "evaluation/evaluators=[few_shot]"]
    alone += ["evaluation.baselines=[]", "evaluation.controls=false"]
    robustness = "evaluation/evaluators=[few_shot,robustness]"
    val, test = (
        {f"robust-{split}": [robustness, f"evaluation.robustness.split={split}"]}
        for split in ("val", "test")
    )
    cells: dict[str, GridCell] = {}
    for fusion in FUSIONS:
        tested = test if fusion in (chosen, "concat") else NONE
        cells |= seeds(
            5 if tested else 1, *alone, f"encoder/fusion={fusion}", group=fusion, evaluations=tested
        )
        first = f"{fusion}-seed0"
        cells[first] = GridCell(cells[first].options, {**tested, **val}, "0", fusion)
    beside = ["validation", *([] if chosen == "concat" else ["concat"]), "one modality"]
    return Reproduction("fusions", experiment, cells, [Areas(chosen, b) for b in beside])


def on_encoders() -> dict[str, GridCell]:
    """Encoders trained on four fifths of the training classes, and update rules that learn to adapt
    a head on the other fifth.
    """
    cells = one("episode.train.class_range=[0,0.8]", group="encoders")
    for rule in RULES:
        more = ["method.update_rule.inner_lr=0.1"] if rule == "anil" else []
        options = [
            "experiment=adapt_head",
            "init_from=HOME/encoders",
            f"method/algorithm={rule}",
            *more,
        ]
        cells |= one(*options, "evaluation.episodes=4000", group=rule)
    return cells


RULES = ("lstm", "rnnprop", "meta_lstm", "meta_sgd", "anil")
HEADS = tuple(product(("image:image", "image+text:image"), ("5-way 1-shot", "5-way 5-shot")))
ONE_STEP = ("method.inner_steps=1", "encoder=mlp", "evaluation.lr_search_episodes=20")
WHOLE = {
    **one("encoder=mlp", group="metric"),
    **one("method=learned_optimizer", "method/algorithm=meta_sgd", *ONE_STEP, group="meta_sgd"),
    **one("method=learned_optimizer", "method/algorithm=maml", *ONE_STEP, group="maml"),
}
ON_OMNIGLOT = [
    "dataset=omniglot",
    "episode.eval.mappings=[image:image]",
    "episode.eval.shots=[1]",
    "evaluation.baselines=[raw/nearest]",
]
OTHER_NETWORKS = {"units40": ["problem.hidden=40"], "relu": ["problem.activation=relu"]}
NETWORKS = {"test": "20 sigmoid units", "units40": "40 sigmoid units", "relu": "20 ReLU units"}
SNELL = [
    Score(
        "image:image",
        f"{ways}-way {shots}-shot",
        published=Published(value, None, "Snell et al. 2017"),
    )
    for ways, shots, value in ((5, 1, 98.8), (20, 1, 96.0), (5, 5, 99.7), (20, 5, 98.9))
]

REPRODUCTIONS = {
    "glyphs": Reproduction(
        "glyphs",
        "default run",
        seeds(
            5,
            evaluations={"omniglot": ON_OMNIGLOT},
        ),
        [
            *(s for m in ("image:image", "text:image") for s in classified(m, (5, 1), (20, 1))),
            *classified("text:image", (5, 1), (20, 1), subset="new words"),
            *classified("image:text", (20, 1)),
            *classified("image+text:image", (20, 1)),
            *ranked("text", "image"),
            Score("text → image", "R@1", subset="new words"),
            *classified(
                "image:image", (5, 1), (20, 1), evaluations=("omniglot",), label="Omniglot"
            ),
            Calibration(),
        ],
    ),
    "glyphs-by-script": Reproduction(
        "glyphs",
        "scripts never seen",
        seeds(1, "experiment=glyphs_by_script"),
        [
            *classified("image:image", (20, 1)),
            *classified("strokes:strokes", (20, 1)),
            *classified("image+strokes:image+strokes", (20, 1), beside=("image:image",)),
        ],
    ),
    "omniglot-small1": official_runs("five alphabets (small1)", "dataset.split=small1", runs=1),
    "omniglot-small2": official_runs("five alphabets (small2)", "dataset.split=small2", runs=1),
    "omniglot-small1-upright": official_runs(
        "small1, only upright characters", "dataset.split=small1", *UPRIGHT, runs=5
    ),
    "omniglot-small2-upright": official_runs(
        "small2, only upright characters", "dataset.split=small2", *UPRIGHT, runs=5
    ),
    "omniglot-hausdorff": Reproduction(
        "omniglot",
        "modified Hausdorff distance, no training",
        one("experiment=omniglot_hausdorff"),
        [
            Score(
                "image:image",
                "20-way 1-shot",
                predictor="raw/ink",
                error=True,
                published=Published(38.8, None, "with the dataset"),
            )
        ],
        over="episodes",
    ),
    "omniglot-vinyals": Reproduction(
        "omniglot",
        "split of Vinyals et al. (2016)",
        seeds(5, "experiment=omniglot_vinyals"),
        SNELL,
    ),
    "omniglot-vinyals-mirrored": Reproduction(
        "omniglot",
        "the same, mirrored characters as classes",
        seeds(
            1,
            "experiment=omniglot_vinyals",
            "episode.train.task_augmentation=0.5",
            "trainer.steps=2000",
        ),
        SNELL,
    ),
    "emoji": of_artworks("unseen emoji, 1,500 steps", "trainer.steps=1500", runs=5),
    "emoji-700-steps": of_artworks("unseen emoji", runs=1),
    "emoji-names": named("names read as bytes"),
    "emoji-names-minilm": named("names read by a frozen MiniLM", *READ_BY_MINILM),
    "fsdd": spoken("unseen digits", "fsdd", "audio:audio"),
    "fsdd-images": spoken("digits and images, one pair of each", "fsdd_images", "image:audio"),
    "tvsum-floors": Reproduction("pairs", "key frames of TVSum, no model", {}, [floors]),
    "flickr8k": Reproduction(
        "pairs",
        "photographs and captions",
        seeds(5, "experiment=flickr8k"),
        ranked("text", "image"),
    ),
    "flickr8k-minilm": Reproduction(
        "pairs",
        "captions read by a frozen MiniLM",
        seeds(5, "experiment=flickr8k", *READ_BY_MINILM),
        ranked("text", "image"),
    ),
    "moving-glyphs-motions": Reproduction(
        "pairs",
        "videos of unseen pairs of motions",
        seeds(1, "experiment=moving_glyphs", "dataset.held_out=motions"),
        ranked("text", "video"),
    ),
    "moving-glyphs-characters": Reproduction(
        "pairs",
        "videos of unseen characters",
        seeds(1, "experiment=moving_glyphs", "dataset.held_out=characters"),
        ranked("text", "video"),
    ),
    "translation": verdict_of("names in a new language", "experiment=translation"),
    "translation-sentences": verdict_of(
        "sentences, English to Czech", "experiment=translation_sentences", "evaluation.episodes=300"
    ),
    "translation-sentences-german": verdict_of(
        "sentences, German to Czech",
        "experiment=translation_sentences",
        "dataset.test_languages=[de-cs]",
        "evaluation.episodes=300",
    ),
    "translation-retrieval": verdict_of(
        "names in a new language, as a search", "experiment=translation_retrieval"
    ),
    "captioning": verdict_of("emoji in a new language", "experiment=captioning"),
    "captioning-topics": verdict_of("emoji of a new topic", "experiment=captioning_topics"),
    "captioning-photographs": verdict_of(
        "photographs in Czech", "experiment=captioning_photographs"
    ),
    "video-summary": verdict_of("sentences about videos", "experiment=video_summary"),
    "video-summary-frames": verdict_of("key frames of videos", "experiment=video_summary_frames"),
    "sentiment-meld-mustard": verdict_of("sarcasm", *DIALOGUE),
    "sentiment-meld-mustard-emotions": verdict_of(
        "emotions never asked for",
        *DIALOGUE,
        "dataset.test=emotion",
        "dataset.held_out=[disgust,fear,sadness]",
        "episode.train.ways=4",
        "episode.eval.shots=[1,4,20]",
    ),
    "sentiment": verdict_of("traits of speakers", "experiment=sentiment_pom"),
    "sentiment-ict-mmmo": verdict_of("reviews of films", "experiment=sentiment_ict_mmmo"),
    "translation-optimizer": by_optimizer("names in a new language", "experiment=translation"),
    "translation-sentences-optimizer": by_optimizer(
        "sentences, English to Czech",
        "experiment=translation_sentences",
        "evaluation.episodes=10",
        "evaluation.validation_episodes=4",
    ),
    "translation-retrieval-optimizer": by_optimizer(
        "names in a new language, as a search", "experiment=translation_retrieval"
    ),
    "captioning-optimizer": by_optimizer("emoji in a new language", "experiment=captioning"),
    "captioning-topics-optimizer": by_optimizer(
        "emoji of a new topic", "experiment=captioning_topics"
    ),
    "captioning-photographs-optimizer": by_optimizer(
        "photographs in Czech", "experiment=captioning_photographs"
    ),
    "video-summary-optimizer": by_optimizer("sentences about videos", "experiment=video_summary"),
    "video-summary-frames-optimizer": by_optimizer(
        "key frames of videos", "experiment=video_summary_frames"
    ),
    "sentiment-meld-mustard-optimizer": by_optimizer("sarcasm", *DIALOGUE),
    "sentiment-optimizer": by_optimizer("traits of speakers", "experiment=sentiment_pom"),
    "sentiment-ict-mmmo-optimizer": by_optimizer(
        "reviews of films", "experiment=sentiment_ict_mmmo"
    ),
    "robust-glyphs": robust("images and names of characters", "robust_glyphs", "attention"),
    "robust-emoji": robust("drawings and names of emoji", "robust_emoji", "mean"),
    "robust-traits": robust("sound and video, traits of speakers", "sentiment_pom", "concat"),
    "maml-omniglot": Reproduction(
        "learned-optimizers",
        "MAML, linear layers, transductive, 10,000 steps",
        one("experiment=maml_omniglot_fc", "trainer.steps=10000"),
        classified(
            "image:image", (5, 1), published=Published(89.7, 1.1, "Finn et al. 2017, 60,000 steps")
        ),
        over="episodes",
    ),
    "adapt-head": Reproduction(
        "learned-optimizers",
        "five steps on a head, the same encoders",
        on_encoders(),
        [
            *(
                Score(*cell, metric="log loss", group=rule, label=rule)
                for rule in RULES
                for cell in HEADS
            ),
            *(Score(*cell, group="lstm", label="lstm") for cell in HEADS),
        ],
        over="episodes",
    ),
    "whole-encoders": Reproduction(
        "learned-optimizers",
        "whole perceptrons",
        WHOLE,
        [
            Score(*cell, group=group, label=group, against=tuple(g for g in WHOLE if g != group))
            for group in WHOLE
            for cell in HEADS
        ],
        over="episodes",
    ),
    "quadratic": Reproduction(
        "learned-optimizers",
        "LSTM on quadratics",
        seeds(3, "experiment=quadratic"),
        [
            Score("quadratics", f"{metric}, step 100", metric=metric)
            for metric in ("mean loss", "median loss")
        ],
    ),
    "sinusoid": Reproduction(
        "learned-optimizers",
        "MAML on sine waves",
        one("experiment=sinusoid"),
        [
            Score("features:features", f"1-way {shots}-shot", metric=metric)
            for metric in ("MAE", "squared error")
            for shots in (5, 10)
        ],
        over="episodes",
    ),
    "mlp-optimization": Reproduction(
        "learned-optimizers",
        "RNNprop on small networks",
        one("experiment=mlp_optimization", evaluations=OTHER_NETWORKS),
        [
            Score("mlp", f"{metric}, step {step}", metric=metric, evaluations=(which,), label=label)
            for which, label in NETWORKS.items()
            for step in (100, 1000)
            for metric in ("mean loss", "median loss")
        ],
        over="problems",
    ),
}
