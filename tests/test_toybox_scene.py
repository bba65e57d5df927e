"""What scenes are, that splits hold apart what they promise, and what is refused."""

import numpy as np
import pytest

from course_utils import toybox
from course_utils.toybox import Scene, Thing
from course_utils.toybox.attributes import PAIRS, TRIPLES, relation_of


def scenes(n, split="train", seed=0, **choices):
    rng = np.random.default_rng(seed)
    return [toybox.sample(rng, split, **choices) for _ in range(n)]


def test_the_world_is_as_large_as_promised():
    assert len(toybox.ATTRIBUTES["toy"]) >= 14
    assert len(toybox.SHAPES) == 8 and len(toybox.DRAWN) >= 6
    assert len(toybox.ATTRIBUTES["colour"]) == 8
    assert {"plain", "outlined", "dotted", "striped"} == set(
        toybox.ATTRIBUTES["pattern"]
    )
    assert {"sky", "snow", "sand", "sea", "night", "grass"} < set(toybox.GROUNDS)


def test_one_seed_gives_one_list_of_scenes():
    assert scenes(50, seed=3) == scenes(50, seed=3)
    assert scenes(50, seed=3) != scenes(50, seed=4)


def test_every_value_of_every_attribute_occurs_in_train():
    seen = {name: set() for name in toybox.ATTRIBUTES}
    for scene in scenes(1500):
        for name, value in scene.attributes.items():
            seen[name].update(value if isinstance(value, list) else [value])
    for name, values in toybox.ATTRIBUTES.items():
        assert seen[name] - {None} == set(values), name


def test_held_out_pairs_are_in_every_unseen_scene_and_in_no_other():
    def held_out(scene):
        return any(toybox.HELD_OUT[t.toy] == t.colour for t in scene.things)

    assert not any(held_out(s) for s in scenes(600) + scenes(200, "test"))
    assert all(held_out(s) for s in scenes(200, "unseen"))


def test_every_toy_can_be_seen_in_its_held_out_colour():
    found = {t.toy for s in scenes(1200, "unseen") for t in s.things}
    assert found == set(toybox.ATTRIBUTES["toy"])


def test_train_and_test_share_no_caption():
    train, test = ({s.caption for s in scenes(800, name)} for name in ("train", "test"))
    assert not train & test
    assert all(s.split == "test" for s in scenes(50, "test"))


def test_a_sample_can_be_narrowed():
    some = scenes(40, things=2, toy=toybox.SHAPES, colour=["red", "blue"], ground="sky")
    assert {len(s.things) for s in some} == {2}
    assert {t.colour for s in some for t in s.things} == {"red", "blue"}
    assert {s.ground for s in some} == {"sky"}
    assert all(t.toy in toybox.SHAPES for s in some for t in s.things)


def test_no_toy_vanishes_into_its_ground():
    for scene in scenes(400):
        for thing in scene.things:
            assert thing.colour in toybox.ALLOWED[scene.ground]
    assert all(len(colours) >= 5 for colours in toybox.ALLOWED.values())


def test_toys_that_share_a_scene_are_all_equal_or_all_different():
    for scene in scenes(400):
        looks = [{**t.attributes, "place": None} for t in scene.things]
        kinds = {t.toy for t in scene.things}
        equal = all(look == looks[0] for look in looks)
        assert equal or len(kinds) == len(scene.things)


def test_relations_follow_from_places():
    assert relation_of([3, 5]) == "left of"
    assert relation_of([1, 7]) == "above"
    assert relation_of([0, 8]) is None and relation_of([4]) is None
    assert all(relation_of(list(pair)) for pair in PAIRS)
    assert all(list(t) == sorted(t) for t in TRIPLES)


def test_faces_have_a_mood_and_others_none():
    assert Thing("cat", "red").mood == "happy"
    assert Thing("car", "red").mood is None
    with pytest.raises(ValueError, match="a car has no face"):
        Thing("car", "red", mood="sad")


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Thing("dragon", "red"), "toy='dragon' is not one of: circle"),
        (lambda: Thing("cat", "mauve"), "colour='mauve' is not one of: red"),
        (lambda: Thing("cat", "red", place="up"), "place='up' is not one of"),
        (lambda: Scene([]), "a scene has 1, 2 or 3, not 0"),
        (lambda: Scene([Thing("cat", "red")], "moon"), "ground='moon' is not one of"),
        (lambda: scenes(1, "dev"), "split='dev' is not one of: train, test, unseen"),
        (lambda: scenes(1, things=7), "count=7 is not one of: 1, 2, 3"),
        (lambda: scenes(1, flavour="sweet"), "no attribute 'flavour'"),
        (lambda: scenes(1, toy="cat", colour="orange"), "held out for the toy"),
        (lambda: scenes(1, colour="blue", ground="sea"), "vanish into the ground"),
    ],
)
def test_what_does_not_exist_is_refused_with_the_cure(make, message):
    with pytest.raises(ValueError, match=message):
        make()
