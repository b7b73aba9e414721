"""``dataset=meld_mustard``: utterances of television series, with emotion, sentiment and
sarcasm.
"""

import csv
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from mmml.data.base import Granularity, Samples, datasets
from mmml.data.column import Column
from mmml.data.download import Download
from mmml.data.duplicates import identical, if_any
from mmml.data.on_disk import OnDisk
from mmml.data.values import objects
from mmml.errors import UserError, require

MELD = "https://raw.githubusercontent.com/declare-lab/MELD/2d2011b409d3ca2d7e94460cd007d434b1d0a102/data/MELD"
MUSTARD = "https://raw.githubusercontent.com/soujanyaporia/MUStARD/b34b5134beeec42a36cdac79330637de9cc9894e/data"
MELDS = "FRIENDS"  # the name of MELD's series in MUStARD
TOLD_APART = 4  # words of a line that is said in one scene only
QUESTIONS = ("emotion", "sentiment", "sarcasm")
EMOTIONS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
FILES = {"train": "train", "val": "dev", "test": "test"}  # MELD's own split, by dialogue
DIGESTS = (
    ("train", "sha256:d2fa2d6529cf03cac2989efec05c9b27d8fd2f4c8fc5974c7ae88aa537fa02db"),
    ("dev", "sha256:2e89c6f8aa182d6f62f8c6331aece905ac7273ca4999660bfb5213e1d0370c1c"),
    ("test", "sha256:8d37103938f7067600839fe29d5a114a6cd1bcdafb75bec101e06464c5006888"),
)
SARCASM_DIGEST = "sha256:ec9533032c5f143f197cb5fa5d4b29ab9bf56a20b0dc05d5b31d052f5957d39c"


@dataclass(frozen=True)
class Utterance:
    """An utterance, its known answers by question, its speaker and its dialogue."""

    text: str
    answers: Mapping[str, str]
    speaker: str
    dialogue: str


@datasets.register("meld_mustard")
class MeldMustard(OnDisk):
    """MELD (Poria et al., 2019), split by dialogue, and MUStARD (Castro et al., 2019).

    A class is an answer to a question (``emotion/joy``), its superclass the question; a group is a
    dialogue, a domain a speaker. Each split has questions of its own, so test tasks are new;
    alternatively, training and test have different emotions (``held_out``).

    Args:
        root: the folder that contains ``text_sentiment/``.
        train, val, test: the question of each split: ``emotion`` (seven classes), ``sentiment``
            (three) or ``sarcasm`` (two). Sarcasm uses all of MUStARD, which has no splits, except
            for the series of MELD, whose scenes partly overlap.
        held_out: emotions that are left out of training; if the test question is ``emotion``, the
            test split has only these.
    """

    name = "meld_mustard"
    folder_name = "text_sentiment"
    downloads = (
        *(
            Download(f"{MELD}/{word}_sent_emo.csv", f"MELD/{word}_sent_emo.csv", digest)
            for word, digest in DIGESTS
        ),
        Download(f"{MUSTARD}/sarcasm_data.json", "MUStARD/sarcasm_data.json", SARCASM_DIGEST),
    )
    modalities: Mapping[str, Granularity] = {"text": Granularity.SAMPLE}

    def __init__(
        self, root: str | None, train: str, val: str, test: str, held_out: Sequence[str] = ()
    ):
        super().__init__(root)
        require(
            set(held_out) < set(EMOTIONS),
            "dataset.held_out",
            held_out,
            f"some of {', '.join(EMOTIONS)}",
        )
        self.held_out = frozenset(held_out)
        self.questions = {"train": train, "val": val, "test": test}
        for split, question in self.questions.items():
            require(
                question in QUESTIONS,
                f"dataset.{split}",
                question,
                f"one of {', '.join(QUESTIONS)}",
            )
        asked_once = [
            q
            for s, q in self.questions.items()
            if not (s == "test" and q == "emotion" and held_out)
        ]
        if len(set(asked_once)) < len(asked_once):
            raise UserError(
                "dataset.train, .val and .test: each question has one split; name three different "
                "ones, or emotions of test in dataset.held_out"
            )

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Texts are unchanged transcripts."""
        return {split: self._split(split, question) for split, question in self.questions.items()}

    def _split(self, split: str, question: str) -> Samples:
        said = list(self._sarcastic() if question == "sarcasm" else self._meld(split))
        if question == "emotion" and self.held_out:
            said = [u for u in said if (u.answers[question] in self.held_out) == (split == "test")]
        answers = sorted({u.answers[question] for u in said})
        rows = sorted(said, key=lambda u: answers.index(u.answers[question]))
        counts = [sum(u.answers[question] == a for u in said) for a in answers]
        dialogues = np.unique([u.dialogue for u in rows], return_inverse=True)[1]
        texts = objects([u.text for u in rows])
        return Samples(
            [f"{question}/{a}" for a in answers],
            np.cumsum([0, *counts]),
            {"text": Column(texts)},
            groups=dialogues,
            duplicates=if_any(identical(texts)),  # short utterances recur in many scenes
            superclasses=np.zeros(len(answers), np.int64),
            domains=np.array([u.speaker for u in rows], dtype=str),
        )

    def _meld(self, split: str) -> Iterator[Utterance]:
        name = f"{FILES[split]}_sent_emo.csv"
        with self.find(f"**/{name}", wanted=f"MELD/{name}")[0].open(
            encoding="utf-8", newline=""
        ) as file:
            for row in csv.DictReader(file):
                answers = {"emotion": row["Emotion"], "sentiment": row["Sentiment"]}
                yield Utterance(row["Utterance"], answers, row["Speaker"], row["Dialogue_ID"])

    def _sarcastic(self) -> Iterator[Utterance]:
        name = "sarcasm_data.json"
        every = json.loads(
            self.find(f"**/{name}", wanted=f"MUStARD/{name}")[0].read_text("utf-8")
        ).values()
        items = [item for item in every if item["show"] != MELDS]
        for item, scene in zip(items, scenes(items), strict=True):
            answers = {"sarcasm": "sarcastic" if item["sarcasm"] else "sincere"}
            yield Utterance(item["utterance"], answers, item["speaker"], scene)


def scenes(items: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the scene of each utterance of MUStARD, as a number: utterances that share a line of
    at least ``TOLD_APART`` words are of one scene.
    """
    lines: dict[tuple[str, ...], int] = {}
    said = []
    for i, item in enumerate(items):
        for line in (*item["context"], item["utterance"]):
            words = re.findall(r"\w+", line.casefold())
            if len(words) >= TOLD_APART:
                said.append((i, len(items) + lines.setdefault((item["show"], *words), len(lines))))
    utterance, line_of = np.array(said, np.int64).reshape(-1, 2).T
    links = coo_array(
        (np.ones(len(said)), (utterance, line_of)), shape=(len(items) + len(lines),) * 2
    )
    return [str(scene) for scene in connected_components(links, directed=False)[1][: len(items)]]
