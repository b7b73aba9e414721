"""Retrieval without training: predicts the answer of the nearest support item."""

from torch import Tensor

from mmml.encoders import Embedder
from mmml.episodes import ExampleSet
from mmml.methods.learner import Learner, Predictor, Role
from mmml.similarity.distances import Distance
from mmml.tasks import Task


class NearestPair(Learner):
    """Predicts the answer of the nearest support item; queries are never compared with answers.

    This is how matching across modalities uses pairs (Eloff, Engelbrecht and Kamper, 2019). The
    answers of equally near items are averaged.

    Args:
        embedder: embeds the items of the support set, the queries and the answers.
        task: a task with embedded targets.
        distance: compares queries with support items.
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
