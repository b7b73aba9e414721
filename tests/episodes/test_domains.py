from dataclasses import replace

import numpy as np
import pytest

from mmml.config.schema import EpisodeConfig, EvalEpisodes, TrainEpisodes
from mmml.episodes import EpisodeShape, Sampler
from mmml.episodes.setup import check_shapes, for_episodes
from mmml.errors import UserError


def options(query_domain, group_disjoint=False, queries=1, mapping="image:image"):
    train = TrainEpisodes(ways=2, shots=1, queries=1, mappings=[mapping])
    judged = EvalEpisodes([2], [1], queries=queries, mappings=[mapping], query_domain=query_domain)
    return EpisodeConfig(group_disjoint, train, judged)


@pytest.fixture
def drawn(samples):
    """Of each class the first two rows are sketches, the others photographs."""
    reindex = np.arange(39) - samples.starts[samples.labels]
    return replace(samples, domains=np.where(reindex < 2, "sketch", "photograph"))


def test_queries_are_of_one_domain_and_support_of_the_others(drawn):
    splits = dict.fromkeys(("train", "val", "test"), drawn)
    found = for_episodes(splits, options("sketch"))
    for split in ("val", "test"):
        episodes = Sampler(found[split], 0, split).draw(range(300), EpisodeShape(3, 2, 1))
        assert (drawn.domains[episodes.query] == "sketch").all()
        assert (drawn.domains[episodes.support] == "photograph").all()
        assert (drawn.labels[episodes.query] == episodes.classes[..., None]).all()
        assert (drawn.labels[episodes.support] == episodes.classes[..., None]).all()
        assert (episodes.support[..., 0] != episodes.support[..., 1]).all()
        assert set(episodes.query.ravel().tolist()) == {
            int(s) + i for s in drawn.starts[:-1] for i in (0, 1)
        }
    assert found["train"].query_only is None
    assert all(part.query_only is None for part in for_episodes(splits, options(None)).values())


def test_a_domain_may_be_of_the_test_alone(drawn):
    """A speaker who is heard in no other split: validation then asks about any."""
    others = replace(drawn, domains=np.full(39, "photograph"))
    found = for_episodes({"train": others, "val": others, "test": drawn}, options("sketch"))
    assert (
        found["val"].query_only is None
        and found["test"].query_only.sum() == (drawn.domains == "sketch").sum()
    )


def test_what_cannot_be_is_refused(drawn, samples):
    splits = dict.fromkeys(("train", "val", "test"), drawn)
    with pytest.raises(
        UserError, match="query_domain=sketsh is none of photograph, sketch; did you mean 'sketch'"
    ):
        for_episodes(splits, options("sketsh"))
    with pytest.raises(
        UserError, match="needs domains, and this dataset has none: give it a column `domain`"
    ):
        for_episodes(dict.fromkeys(splits, samples), options("sketch"))
    wanting = options("sketch", queries=3)
    with pytest.raises(
        UserError, match="queries=3, but class 'class 0' of the val split has 2 samples for that"
    ):
        check_shapes(wanting, for_episodes(splits, wanting), trains=True)


def test_a_side_that_shows_names_needs_no_rows(drawn):
    """The last class has no photograph, and its name is all that the support side shows."""
    last = replace(drawn, domains=np.where(drawn.labels == 5, "sketch", drawn.domains))
    wanted = options("sketch", mapping="text:image")
    found = for_episodes(dict.fromkeys(("train", "val", "test"), last), wanted)
    check_shapes(wanted, found, trains=True)
    episodes = Sampler(found["test"], 0, "test").draw(range(50), EpisodeShape(6, 1, 1))
    assert (last.domains[episodes.query] == "sketch").all()


@pytest.mark.parametrize("numbering", ["groups", "duplicates"])
def test_near_duplicates_of_two_domains_are_kept_apart_too(drawn, numbering):
    """The first sketch of each class is the first photograph, in the same pixels."""
    numbers = np.arange(39)
    numbers[drawn.starts[:-1] + 2] = numbers[drawn.starts[:-1]]
    splits = dict.fromkeys(("train", "val", "test"), replace(drawn, **{numbering: numbers}))
    found = for_episodes(splits, options("sketch", group_disjoint=numbering == "groups"))["test"]
    episodes = Sampler(found, 0, "test").draw(range(300), EpisodeShape(3, 1, 1))
    assert (drawn.domains[episodes.query] == "sketch").all() and (
        drawn.domains[episodes.support] == "photograph"
    ).all()
    assert (drawn.labels[episodes.support] == episodes.classes[..., None]).all()
    for support, query in zip(numbers[episodes.support], numbers[episodes.query], strict=True):
        assert not set(support.ravel()) & set(query.ravel())
    queried = set(episodes.query.ravel().tolist())
    # Their twins are passed over, not they themselves.
    assert {int(s) for s in drawn.starts[:-1]} <= queried
