"""The head that is the prefix of a language model."""

import pytest

from mmml.episodes import EpisodeShape
from mmml.errors import UserError
from tests.tasks.making import descend, judged, learned, model_of, named

__all__ = ["named"]  # a fixture


def test_fewer_episodes_at_a_time_where_support_sets_hold_many_texts():
    few, some, many = (
        learned().max_episodes(EpisodeShape(1, shots, 6)) for shots in (20, 500, 5000)
    )
    assert few == 16 and 1 < some < few and many == 1
    assert learned({"vocabulary": 1000}).max_episodes(EpisodeShape(1, 500, 6)) <= some


def test_the_learned_optimizer_writes_what_it_was_shown(named):
    learner = learned()
    losses = descend(learner, named, 120)
    assert losses[-1] < 0.3 * losses[0]
    assert all(p.grad is not None for p in model_of(learner).parameters())
    found = judged(learner.eval(), named)
    standing = judged(learner._variant("no adaptation", learner.optimizer, 0), named)
    assert found["chrF"] > 0.6 and found["log loss"] < standing["log loss"]


def test_heads_computed_of_the_support_set_are_refused():
    with pytest.raises(
        UserError, match="method.init=prototype computes a head, and there is none for texts"
    ):
        learned(init="prototype")
