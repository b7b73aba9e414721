from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from mmml.encoders.augment import augments, seen_as
from mmml.errors import UserError
from mmml.evaluation.embed import embed_all, materialize


def images_of(embedded):
    return embedded.columns["image"].values


def test_several_views_are_averaged_and_the_first_is_the_image_itself(learner, samples):
    one, four = (embed_all(learner, samples, ["image", "text"], views) for views in (1, 4))
    # Only images have views.
    assert torch.equal(one.columns["text"].values, four.columns["text"].values)
    encoder, raw = learner.embedder.encoders["image"].eval(), samples.columns["image"].values
    calls = []
    with torch.no_grad():
        for view in range(4):
            with seen_as(encoder, view):
                calls.append(F.normalize(encoder.encode(raw), dim=-1))
    torch.testing.assert_close(calls[0], images_of(one))
    torch.testing.assert_close(F.normalize(sum(calls), dim=-1), images_of(four))
    assert not torch.allclose(calls[1], calls[2], atol=1e-3)
    assert all(a.view == 0 for a in augments(encoder))


def test_views_of_a_sample_do_not_depend_on_its_neighbours_or_the_seed(learner, samples):
    torch.manual_seed(1)
    full = images_of(embed_all(learner, samples, ["image"], 3))
    torch.manual_seed(2)
    raw = samples.columns["image"].values[5:7]
    alone = images_of(embed_all(learner, with_images(samples, raw), ["image"], 3))
    torch.testing.assert_close(full[5:7], alone)


def with_images(samples, raw):
    return replace(samples, columns={"image": replace(samples.columns["image"], values=raw)})


def test_views_need_embeddings_that_do_not_depend_on_the_task(learner, samples, monkeypatch):
    monkeypatch.setattr(type(learner), "embeds_once", False)
    with pytest.raises(
        UserError,
        match="evaluation.tta_views=8 needs embeddings that do not depend on the task: use 1",
    ):
        materialize(learner, samples, ["image"], 8)


def test_missing_values_are_masked_zeros_and_no_encoder_sees_them(learner, samples):
    mask = torch.arange(39) % 3 > 0
    gaps = replace(samples, columns={"image": replace(samples.columns["image"], mask=mask)})
    found, full = (embed_all(learner, s, ["image"]).columns["image"] for s in (gaps, samples))
    assert found.mask.equal(mask) and not found.values[~mask].any()
    torch.testing.assert_close(found.values[mask], full.values[mask])
    none = replace(gaps, columns={"image": replace(samples.columns["image"], mask=mask & False)})
    assert embed_all(learner, none, ["image"]).columns["image"].values.shape == (39, 16)
