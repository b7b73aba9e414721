import pytest

from mmml.data.base import Granularity
from mmml.episodes import Mapping
from mmml.errors import UserError

MODALITIES = {"image": Granularity.SAMPLE, "text": Granularity.CLASS}


def test_reads_and_writes():
    mapping = Mapping.parse("image+text:image")
    assert (mapping.support, mapping.query) == (("image", "text"), ("image",))
    assert str(mapping) == "image+text:image"
    assert mapping.modalities == {"image", "text"}


def test_the_order_of_fused_modalities_makes_no_difference():
    assert Mapping.parse("text+image:image") == Mapping.parse("image+text:image")


@pytest.mark.parametrize(
    "text", ["image", "image:", ":image", "a:b:c", "image+:text", "image+image:text"]
)
def test_refuses_what_is_no_mapping(text):
    with pytest.raises(UserError, match="option: "):
        Mapping.parse(text, "option")


def test_refuses_an_unknown_modality_with_the_nearest():
    with pytest.raises(
        UserError,
        match=r"needs 'imgae', which dataset glyphs does not have; did you mean 'image'\?",
    ):
        Mapping.parse("imgae:text").check(MODALITIES, "glyphs", "option")


@pytest.mark.parametrize("text", ["text:text", "image+text:text", "text:image+text"])
def test_refuses_the_same_class_modality_on_both_sides(text):
    with pytest.raises(UserError, match="matching it would be the answer"):
        Mapping.parse(text).check(MODALITIES, "glyphs", "option")


def test_the_same_sample_modality_may_stand_on_both_sides():
    Mapping.parse("image+text:image").check(MODALITIES, "glyphs", "option")


def test_knows_sides_with_one_item_per_class():
    assert Mapping.parse("text:image").per_class(MODALITIES) == (True, False)
    assert Mapping.parse("image+text:image").per_class(MODALITIES) == (False, False)
