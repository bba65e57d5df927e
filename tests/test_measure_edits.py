import pytest
import torch

from course_utils import oracle, toybox
from course_utils.measure import edits
from course_utils.toybox import Edit, Scene, Thing

SOME = edits.triples(42)


def pictures(which):
    return toybox.render([getattr(triple, which) for triple in SOME])


def test_the_true_result_has_everything_right():
    found = edits.edit_scores(pictures("target"), SOME)
    assert (found["success"] == 1).all() and (found["preservation"] == 1).all()
    assert found["psnr_target"].isinf().all() and found["psnr_outside"].min() > 50


def test_the_untouched_scene_keeps_all_and_changes_nothing():
    found = edits.edit_scores(pictures("scene"), SOME)
    assert (found["success"] == 0).all() and (found["preservation"] == 1).all()
    assert found["psnr_target"].max() < 40 and found["psnr_outside"].min() > 90


def test_another_picture_is_neither():
    found = edits.edit_scores(pictures("target").roll(1, 0), SOME)
    assert found["success"].mean() < 0.5 and found["preservation"].mean() < 0.6


def test_the_kinds_take_turns_and_the_same_seed_gives_the_same():
    assert [t.edit.attribute for t in SOME[:7]] == list(edits.KINDS)
    assert edits.triples(42) == SOME and edits.triples(42, seed=1) != SOME


def test_scenes_are_held_out_and_so_are_their_results():
    assert all(triple.scene.split == "test" for triple in SOME)
    assert all(triple.target.split != "unseen" for triple in SOME)
    assert all(toybox.apply(t.scene, t.instruction) == t.target for t in SOME)


def test_captions_say_toys_colours_and_what_the_edit_is_about():
    scene = Scene([Thing("cat", "red", place="top")], "sand")
    edit = Edit("ground", "snow")
    triple = edits.Triple(scene, edit, toybox.apply(scene, edit))
    assert triple.captions == ("a red cat on the sand", "a red cat in the snow")
    assert all(toybox.parse(caption) for triple in SOME for caption in triple.captions)


def test_of_a_toy_that_is_added_the_caption_says_all():
    scene = Scene([Thing("cat", "red", size="small")], "sand")
    star = dict(toy="star", colour="blue", size="big", pattern="plain", place="top")
    edit = Edit("add", star)
    triple = edits.Triple(scene, edit, toybox.apply(scene, edit))
    said = "a big plain blue star at the top and a red cat"
    assert triple.captions == ("a red cat", said)


def test_what_is_changed_lies_where_the_toy_is():
    moved = [triple for triple in SOME if triple.edit.attribute == "colour"]
    where = edits.changed(moved)
    seen = toybox.masks([triple.target for triple in moved]).any(1, keepdim=True)
    assert (where & seen).sum() > 0.8 * where.sum() and where.flatten(1).any(1).all()


def test_an_edit_is_judged_from_what_the_oracle_sees():
    seen = oracle.read(pictures("scene"))
    found = [edits.seen_edit(x, t.instruction) for x, t in zip(seen, SOME, strict=True)]
    assert [t.target.caption for t in found] == [t.target.caption for t in SOME]
    assert edits.seen_edit(seen[0], "be nice to it") is None
    same = f"make it {seen[0]['colour'][0]}"
    assert edits.seen_edit(seen[0], same) is None
    assert edits.seen_edit(seen[0] | {"count": 0}, SOME[0].instruction) is None


@pytest.mark.parametrize(
    ("images", "some", "message"),
    [
        (None, SOME, "images"),
        (torch.zeros(2, 3, 64, 64), SOME, "2 images need as many edits, not 42"),
        (torch.zeros(0, 3, 64, 64), [], "edits must be a list"),
    ],
)
def test_what_does_not_fit_is_refused(images, some, message):
    with pytest.raises(ValueError, match=message):
        edits.edit_scores(images, some)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no 'mood'; there are colour, toy"):
        edits.triples(3, kinds=("mood",))
