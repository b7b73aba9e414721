import pytest

from mmml.errors import UserError
from mmml.registry import Registry, check_type


@pytest.fixture
def parts() -> Registry:
    gears = Registry("part", "mmml.tasks")

    @gears.register("gear")
    class Gear:
        def __init__(self, teeth: int, ratio: float, label: str | None, size: int):
            self.values = (teeth, ratio, label, size)

    return gears


OPTIONS = {"teeth": 3, "ratio": 2, "label": None}


def test_builds_from_options_and_context(parts):
    assert parts.build("gear", OPTIONS, "where", size=7).values == (3, 2, None, 7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tooth": 3}, "where.tooth: part 'gear' has no such option; did you mean 'teeth'"),
        ({"teeth": "3"}, "where.teeth=3: expected int, got str"),
        ({"teeth": True}, "expected int, got bool"),
        ({"teeth": None}, "where.teeth=null: expected int, got null"),
        ({"ratio": "adapt"}, "expected float"),
        ({"ratio": True}, "where.ratio=True: expected float, got bool"),
        ({"label": 3}, "expected str or null, got int"),
        ({"size": 3}, "no such option"),
    ],
)
def test_refuses_options_that_do_not_fit(parts, change, message):
    with pytest.raises(UserError, match=message):
        parts.build("gear", OPTIONS | change, "where", size=7)


def test_names_a_missing_option(parts):
    with pytest.raises(UserError, match="where.ratio is missing"):
        parts.build("gear", {"teeth": 3, "label": None}, "where", size=7)


def test_names_the_nearest_part(parts):
    with pytest.raises(UserError, match="there is no part of that name; did you mean 'gear'"):
        parts.build("geer", {}, "where")


def test_two_parts_cannot_share_a_name(parts):
    with pytest.raises(ValueError, match="two parts"):
        parts.register("gear")(int)


def test_an_outside_part_cannot_take_a_built_in_name():
    from mmml.similarity import distances

    distances.names()

    def cosine(query, support):
        return query

    with pytest.raises(ValueError, match="two parts are registered as distance 'cosine'"):
        distances.register("cosine")(cosine)


def test_lists_and_dictionaries_are_checked_inside():
    check_type([1, 2], list[int], "x")
    check_type({"a": 1.5}, dict[str, float], "x")
    for value, wanted in (
        ([1, "2"], list[int]),
        ({"a": 1.5, "b": "2"}, dict[str, float]),
        ([True], list[int]),
    ):
        with pytest.raises(UserError):
            check_type(value, wanted, "x")


def test_what_the_program_supplies_and_what_has_a_default_need_not_be_set():
    bolts = Registry("bolt", "mmml.tasks")

    @bolts.register("bolt")
    def bolt(size: int, length: int = 3, head: str = "flat"):
        return size, length, head

    assert bolts.build("bolt", {"head": "round"}, "where", size=7, unasked=1) == (7, 3, "round")


def test_only_keyword_options_are_bound_and_the_rest_is_left_to_the_caller():
    bends = Registry("bend", "mmml.tasks", functions=True)

    @bends.register("bend")
    def bend(x: float, y: float, *, scale: float, shift: float = 0.0):
        return scale * (x - y) + shift

    assert bends.build("bend", {"scale": 2.0, "shift": 1.0}, "where")(5.0, 2.0) == 7.0
    assert bends.build("bend", {"scale": 2.0}, "where")(5.0, 2.0) == 6.0
    with pytest.raises(UserError, match="where.scale is missing: bend 'bend' needs it"):
        bends.build("bend", {}, "where")
    with pytest.raises(UserError, match="where.x: bend 'bend' has no such option"):
        bends.build("bend", {"scale": 2.0, "x": 9.0}, "where")
