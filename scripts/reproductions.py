"""What ``scripts/reproduce.py`` can reproduce, and what should come out."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import product

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")
MINILM = os.environ.get("MMML_MINILM", "sentence-transformers/all-MiniLM-L6-v2")  # a folder, or a name on the hub
READ_BY_MINILM = ("encoder/text=pretrained_text", f"encoder.text.model={MINILM}")
UPRIGHT = ("dataset.rotations=false", "episode.train.task_augmentation=0", "trainer.steps=1000")
ARTWORKS = ("blob", "noto", "openmoji", "twemoji")


@dataclass(frozen=True)
class Goal:
    """A number of a panel and what it should be; without a bound it is only stated.

    Attributes:
        mapping: ``image:image``, ``image → text``, as reports show it.
        column: ``20-way 1-shot``, ``R@1``.
        bound: what the mean should reach, or not exceed if it is an error; ``raw/nearest``: what that has.
        evaluations: whose mean it is.
        predictor: None for the learned one.
        error: shown as 100 − accuracy.
        exactly: to one decimal.
        less: a mapping whose score, in the same episodes, is taken off.
    """

    mapping: str
    column: str
    bound: float | str | None = None
    evaluations: tuple[str, ...] = ("test",)
    predictor: str | None = None
    error: bool = False
    exactly: bool = False
    less: str | None = None

    @property
    def title(self) -> str:
        """For the table."""
        what = f"{self.mapping} less {self.less}" if self.less else self.mapping
        parts = ["error %" if self.error else "%", what, self.column, *self.evaluations, self.predictor or ""]
        return ", ".join(p for p in parts if p and p != "test")

    def met(self, mean: float, bound: float) -> bool:
        """Whether a mean, as it is shown, is what it should be."""
        if self.exactly:
            return abs(mean - bound) < 0.051
        return mean <= bound if self.error else mean >= bound


@dataclass(frozen=True)
class Reproduction:
    """What is run and what is expected.

    Attributes:
        train: overrides of ``mmml-train``.
        goals: of the mean over runs.
        evaluations: overrides of ``mmml-eval``, by name, for each trained run.
        runs: more overrides, by name; those of one name before a ``/`` count as one, their mean.
    """

    train: list[str]
    goals: list[Goal]
    evaluations: Mapping[str, list[str]] = field(default_factory=dict)
    runs: Mapping[str, list[str]] = field(default_factory=lambda: {f"seed{s}": [f"seed={s}"] for s in range(5)})


def one_shot(split: str, *options: str, one: float | None = None, views: float | None = None) -> Reproduction:
    """Omniglot's official runs, trained on some alphabets; bounds are errors in per cent, of one view or several."""
    goals = [
        Goal("image:image", "20-way 1-shot", one, error=True),
        Goal("image:image", "20-way 1-shot", views, ("views",), error=True),
    ]
    train = ["experiment=omniglot_one_shot", f"dataset.split={split}", *options]
    return Reproduction(train, goals, {"views": ["evaluation.tta_views=8"]})


def also_on(reproduction: Reproduction, name: str, *options: str) -> Reproduction:
    """The same learner on images of another dataset, stated."""
    goals = [Goal("image:image", f"{ways}-way 1-shot", evaluations=(name,)) for ways in (5, 20)]
    evaluations = {**reproduction.evaluations, name: [f"dataset={name}", *options]}
    return replace(reproduction, goals=[*reproduction.goals, *goals], evaluations=evaluations)


def leaving_out() -> dict[str, list[str]]:
    """Every speaker is left out once with every two digits; two others are for validation."""
    pairs = [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
    held = [(pairs[i - 1], pairs[i]) for i in range(len(pairs))]
    return {
        f"{speaker}/{a}{b}": [
            f"dataset.speaker={speaker}",
            f"dataset.val_digits=[{val[0]},{val[1]}]",
            f"dataset.test_digits=[{a},{b}]",
        ]
        for speaker, (val, (a, b)) in product(SPEAKERS, held)
    }


def spoken(experiment: str, mapping: str) -> Reproduction:
    """Every speaker's digits; fewer errors than time warping."""
    goals = [
        Goal(mapping, "2-way 1-shot", "raw/nearest", error=True),
        Goal(mapping, "2-way 1-shot", predictor="raw/nearest", error=True),
    ]
    return Reproduction([f"experiment={experiment}"], goals, runs=leaving_out())


def retrieval(a: str, b: str) -> list[Goal]:
    """Both directions between two modalities, stated."""
    return [Goal(f"{x} → {y}", metric) for x, y in ((a, b), (b, a)) for metric in ("R@1", "R@10")]


def photographs(*options: str) -> Reproduction:
    """Photographs that were never seen, and their captions."""
    return Reproduction(["experiment=flickr8k", *options], retrieval("text", "image"))


def named(*options: str) -> Reproduction:
    """Emoji from their names, in English and in a language never paired with images."""
    goals = [Goal("text:image", "5-way 1-shot", evaluations=(e,)) for e in ("test", "german")]
    german = {"german": ["dataset.languages=[de]"]}
    return Reproduction(["experiment=emoji_names", *options], goals, german)


def of_artwork(queries: str) -> list[str]:
    """Queries of one artwork, support of the three others."""
    return [f"episode.eval.query_domain={queries}"]


ONE_VIEW = {f"{a}-once": of_artwork(a) for a in ARTWORKS}


def moving(held_out: str) -> Reproduction:
    """Videos of what is held out and their sentences."""
    return Reproduction(["experiment=moving_glyphs", f"dataset.held_out={held_out}"], retrieval("text", "video"))


REPRODUCTIONS = {
    "glyphs": also_on(
        Reproduction(
            [],
            [
                *(Goal(m, "20-way 1-shot") for m in ("image:image", "text:image", "image:text", "image+text:image")),
                *retrieval("text", "image"),
            ],
        ),
        "omniglot",
        "episode.eval.mappings=[image:image]",
        "episode.eval.shots=[1]",
        "evaluation.baselines=[raw/nearest]",
    ),
    "omniglot-hausdorff": Reproduction(
        ["experiment=omniglot_hausdorff"],
        [Goal("image:image", "20-way 1-shot", 38.75, predictor="raw/ink", error=True, exactly=True)],
        runs={"all": []},
    ),
    "omniglot-background": also_on(
        one_shot("background", *UPRIGHT, one=9.0),
        "glyphs",
        "episode.eval.official_episodes=false",
        "episode.eval.within_superclass=false",
        "episode.eval.ways=[5,20]",
        "evaluation.baselines=[raw/nearest]",
    ),
    "omniglot-small1": one_shot("small1", one=4.5, views=3.0),
    "omniglot-small2": one_shot("small2", one=4.5, views=3.0),
    "omniglot-small1-upright": one_shot("small1", *UPRIGHT),
    "omniglot-small2-upright": one_shot("small2", *UPRIGHT),
    "omniglot-vinyals": Reproduction(
        ["experiment=omniglot_vinyals"],
        [
            Goal("image:image", "5-way 1-shot", 98.8),
            Goal("image:image", "20-way 1-shot", 96.0),
            Goal("image:image", "5-way 5-shot"),
            Goal("image:image", "20-way 5-shot"),
        ],
    ),
    "emoji": Reproduction(
        ["experiment=emoji", "trainer.steps=1500"],
        [
            Goal("image:image", "20-way 1-shot", 85.0, ARTWORKS),
            *(Goal("image:image", "20-way 1-shot", evaluations=(a,)) for a in ARTWORKS),
            Goal("image:image", "20-way 1-shot", evaluations=tuple(ONE_VIEW)),
        ],
        {**{a: [*of_artwork(a), "evaluation.tta_views=8"] for a in ARTWORKS}, **ONE_VIEW},
    ),
    "emoji-names": named(),
    "emoji-names-minilm": named(*READ_BY_MINILM),
    "fsdd": spoken("fsdd", "audio:audio"),
    "fsdd-images": spoken("fsdd_images", "image:audio"),
    "flickr8k": photographs(),
    "flickr8k-minilm": photographs(*READ_BY_MINILM),
    "moving-glyphs-characters": moving("characters"),
    "moving-glyphs-motions": moving("motions"),
    "glyphs-by-script": Reproduction(
        ["experiment=glyphs_by_script"],
        [
            Goal("image:image", "20-way 1-shot"),
            Goal("strokes:strokes", "20-way 1-shot"),
            Goal("image+strokes:image+strokes", "20-way 1-shot"),
            Goal("image+strokes:image+strokes", "20-way 1-shot", less="image:image"),
        ],
    ),
}
