"""Retrieval without training: the answer of the most similar support item."""

from torch import Tensor

from mmml.encoders import Embedder
from mmml.episodes import ExampleSet
from mmml.methods.learner import Learner, Predictor, Role
from mmml.similarity.distances import Distance
from mmml.tasks import Task


class NearestPair(Learner):
    """The prediction is the answer of the nearest support item, so queries are never
    compared with answers.

    As matching by pairs does across modalities (Eloff, Engelbrecht and Kamper, 2019).
    Pairs that tie are averaged.

    Args:
        embedder: of questions and of answers.
        task: whose answers are embedded.
        distance: of questions.
    """

    name, variant = "raw", "nearest pair"
    role = Role.UNTRAINED
    transductive = False
    ranks = False

    def __init__(self, embedder: Embedder, task: Task, distance: Distance):
        super().__init__()
        self.embedder, self.task, self._distance = embedder, task, distance

    def adapt(self, support: ExampleSet, task: Task | None = None) -> Predictor:
        task = task or self.task
        pairs = self.embedder.fuse(support.encode(self.embedder.encode))
        answers = task.targets(support.answered(self.embedder.encode))

        def predict(query: ExampleSet) -> Tensor:
            far = self._distance(self.embedder.fuse(query.encode(self.embedder.encode)), pairs)
            nearest = (far == far.amin(-1, keepdim=True)).to(answers.dtype)
            return nearest / nearest.sum(-1, keepdim=True) @ answers

        return predict
