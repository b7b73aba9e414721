"""``dataset=pom``: ratings of 17 traits of speakers, from audio and video features."""

from collections.abc import Collection, Mapping
from typing import ClassVar

import numpy as np

from mmml.data.base import SCORE, Samples, datasets, split_classes
from mmml.data.column import Column
from mmml.data.sequences import Streams, downloads_of

TRAITS = 17
DIGESTS = {
    "audio_test": "15aa2f0eaa8787e5aec2de28636fb5b0181aeacc1e8f6eec56fce4cdade367ab",
    "audio_train": "a7edb566f5d5026c9ed82222fbdbfc22d506fdd243c4c112f1ecca2f5155eee7",
    "audio_valid": "430b49d06e7fc2a8ea11bf3636cd08df4366df18647acfda39d8014d342fb7cf",
    "video_test": "bd1bd57bf2bf4ad49b2ff03c79a3d13375627d23a531a6bde7b13a0f68f8c0dd",
    "video_train": "936d32765899d8cab2d8c7c84fb5d6b91b249906d3e46ce51aa73c4f5b0d582d",
    "video_valid": "39f8a4aabfe7deb94da001b9ca25ad087ddd155f2786de04a3cacd90a379bb80",
    "y_test": "dec80f328c2e811fb28a04df2ad11495dc00be34a6c439d40b3d1848fe518a18",
    "y_train": "420831e96b21c5fc77194c70c8a76f831fd04d3cc6cadd513e1749c3b325fef5",
    "y_valid": "066fb33cef488591ff999b4c6859c990ff93645003cc795501c70b3ea87ac2ef",
}


@datasets.register("pom")
class Pom(Streams):
    """Persuasive Opinion Multimedia (Park et al., 2014): 903 clips, scores from 1 to 7;
    for ``task=regression``.

    A class is a trait, numbered as in the files; a sample is a clip and its score for this trait:
    17 regression tasks over the same clips, which are the groups. Splits are disjoint by trait and,
    as published, by clip. ``audio_features`` have 43 numbers for each step; ``video_features``,
    which half of the clips lack, have 41.

    Args:
        root: the folder that contains ``pom_traits/``.
        split_seed: which traits are held out.
        val, test: the fractions of the traits held out for validation and test.
    """

    name = "pom"
    folder_name = "pom_traits"
    files: ClassVar[Mapping[str, str]] = {"audio": "audio_{}.h5", "video": "video_{}.h5"}
    downloads = downloads_of("pom", DIGESTS)

    def __init__(self, root: str | None, split_seed: int, val: float, test: float):
        super().__init__(root)
        self.split_seed, self.val, self.test = split_seed, val, test

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Features are float32 ``[n, 20, width]``, as published."""
        traits = [f"trait{i + 1:02}" for i in range(TRAITS)]
        chosen = split_classes(traits, self.split_seed, self.val, self.test)
        found = {}
        for split, clips in self.read(modalities).items():
            held, n = chosen[split], len(clips.scores)
            clip = np.tile(np.arange(n), len(held))
            columns = clips.columns(clip) | {
                SCORE: Column.of_scores(clips.scores[:, held].T.ravel())
            }
            starts = np.arange(len(held) + 1) * n
            found[split] = Samples([traits[i] for i in held], starts, columns, groups=clip)
        return found
