import torch

from mmml.evaluation.examples.classes import _map


def test_modalities_of_other_widths_are_left_out_of_the_map(samples):
    def drawn(text: int):
        embeddings = {"image": torch.randn(len(samples.labels), 16), "text": torch.randn(9, text)}
        return _map(samples.with_embeddings(embeddings))["modalities"]

    torch.manual_seed(0)
    assert drawn(16) == ["image", "text"] and drawn(8) == ["image"]
