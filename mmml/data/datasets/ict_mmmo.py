"""``dataset=ict_mmmo``: video reviews of films, with the sentiment of the speaker."""

from collections.abc import Collection, Mapping
from typing import ClassVar

import numpy as np

from mmml.data.base import SCORE, Samples, datasets
from mmml.data.column import Column
from mmml.data.sequences import Streams, downloads_of

DIGESTS = {
    "audio_test": "1d701dc193b3e4404e35b97165fd33af19aff50d193a744488ec4c87ea0d6c44",
    "audio_train": "4c37e59d75bf1fe17baf6d607e4e7eef228b9b16a145f64c9624d2fc8fcb1666",
    "audio_valid": "37b39911ee143d712e36d1fcba5b41400d2b40bef9de3da419de7344486eb8e9",
    "text_test_emb": "8f3bcab7716c482c209c393098fabe6362fa66b58eb9de5ebd4529c2cb53476b",
    "text_valid_emb": "ff332edc367c23495f0a0194fc5a2b83d217565a6a9ab402f98cbbb60bdc3b95",
    "video_test": "d0bfeb4a0ca249ac766b9c426146e4765b783463112e78665231a82c7b02f176",
    "video_train": "2b7d7d442c1ef7aae0c06d19a845baeb5f8685ee844900f30d6cce643da42452",
    "video_valid": "43a44a63e369bca2fc86c54fa42d9b3b30c03657b8f7287bdae60341f4767d8c",
    "y_test": "17a83a344f15fc751bf10a052ade48d0944959052b30f33bc2c5216a31ea59ee",
    "y_train": "872872ba80f2076a2f5287ace2e3cb72dff7abaa01e1906073c1d50a15a84d6e",
    "y_valid": "e164e98d53b01e558af6eb232fdc0ca8660f8bd3e76469ca12bef124688a4c8f",
}


@datasets.register("ict_mmmo")
class IctMmmo(Streams):
    """ICT-MMMO (Wöllmer et al., 2013): 340 reviews with a sentiment from 1 to 5;
    for ``task=regression``.

    All episodes predict the same quantity, so that their reviews are new and the task is not; a
    class is all reviews of a split. Splits are the published ones. ``audio_features`` have 74
    numbers for each step, ``video_features`` 36, ``text_features`` 300 (GloVe vectors).

    Args:
        root: the folder that contains ``mmmo_trimodal/``.
    """

    name = "ict_mmmo"
    folder_name = "mmmo_trimodal"
    files: ClassVar[Mapping[str, str]] = {
        "audio": "audio_{}.h5",
        "video": "video_{}.h5",
        "text": "text_{}_emb.h5",
    }
    downloads = downloads_of("mmmo", DIGESTS)

    def load(self, modalities: Collection[str] = ()) -> dict[str, Samples]:
        """Load all splits. Features are float32 ``[n, 20, width]``, as published."""
        found = {}
        for split, films in self.read(modalities).items():
            n = len(films.scores)
            columns = films.columns(np.arange(n)) | {SCORE: Column.of_scores(films.scores.ravel())}
            found[split] = Samples([f"sentiment, {split}"], np.array([0, n]), columns)
        return found
