"""``few_shot``: the mean score of test episodes for each mapping, number of ways and number of
shots.
"""

from collections.abc import Sequence
from typing import Any

import torch

from mmml.evaluation.calibration import Reliability
from mmml.evaluation.context import EpisodeContext
from mmml.evaluation.evaluator import Evaluator, Player, evaluators
from mmml.evaluation.examples.answers import answer_examples
from mmml.evaluation.examples.classes import class_examples
from mmml.evaluation.examples.curves import descents
from mmml.evaluation.new_words import NewWords
from mmml.evaluation.predictions import chance_results, episode_results
from mmml.evaluation.results import Results
from mmml.methods import Role


@evaluators.register("few_shot")
class FewShot(Evaluator):
    """Mean scores with intervals over test episodes, which are the same for all learners.

    Learners with a calibration also get the calibration error. The trained learner also gets the
    score of queries about names with words that do not occur in training.
    """

    name = "few_shot"
    plays = EpisodeContext

    def run(self, player: Player, context: EpisodeContext) -> Results:
        learner, samples = player.learner, player.samples
        assert samples is not None
        observers: list[Reliability | NewWords] = []
        if player.calibration is not None:
            observers.append(Reliability(player.calibration))
        if learner.role is Role.LEARNED:
            observers.append(NewWords(context.train, context.samples["test"]))
        watch, episodes = [o.watch for o in observers], context.options.episodes
        results = episode_results(
            learner, samples, context.sampler(), context.settings, episodes, watch
        )
        for observer in observers:
            results.extend(observer.results(learner, "test"))
        return results

    def references(self, context: EpisodeContext) -> Results:
        return chance_results(context.sampler(), context.settings, context.options.episodes)

    @torch.no_grad()
    def examples(self, players: Sequence[Player], context: EpisodeContext) -> dict[str, Any]:
        samples, sampler, settings = context.samples["test"], context.sampler(), context.settings
        learners, embedded = [p.learner for p in players], players[0].samples
        assert embedded is not None
        return class_examples(learners[0], samples, embedded, sampler, settings) | {
            "curves": descents(learners, embedded, sampler, settings[0]),
            # The last setting has the most shots.
            "answers": answer_examples(learners, samples, embedded, sampler, settings[-1]),
        }
