"""The toybox: a little world drawn by code, whose every answer is known.

    scene = toybox.sample(rng)          # one to three toys on a ground
    scene.caption, scene.attributes     # in words, and as a dict
    toybox.render([scene])              # (1, 3, 64, 64) in [-1, 1]
    toybox.apply(scene, "make the cat blue")
    toybox.imagine("a sad cat in the snow", rng)

Its modules, each knowing only those before it: palette (colours), attributes (what can
be), words and parsing (captions), scene (what there is), sampling (random scenes),
edits and random_edits (instructions), compare (is it what was asked for?), sdf, shapes,
grounds and draw (pictures), annotations and skeleton (masks, edges, points and all else
that is known of them), conditions (what a ControlNet is shown), marks and subjects
(toys that no scene shows), closeups (one toy that fills the picture), motion and dance
(clips), export (folders of pictures); solid, solid_toys, solid_shapes and solid_render
(toys in the round, from every side).
"""

from course_utils.toybox.annotations import (
    depth,
    edges,
    masks,
    scribbles,
    segmentation,
)
from course_utils.toybox.attributes import (
    ATTRIBUTES,
    DRAWN,
    FACES,
    HELD_OUT,
    PLACES,
    SHAPES,
    relation_of,
)
from course_utils.toybox.closeups import (
    CloseUps,
    closeup_captions,
    render_closeups,
    sample_closeups,
)
from course_utils.toybox.compare import graded, said_of
from course_utils.toybox.conditions import (
    CONDITIONS,
    coloured,
    condition,
    uncoloured,
)
from course_utils.toybox.dance import (
    DANCES,
    dance,
    perform,
    random_dance,
    sample_dancer,
)
from course_utils.toybox.draw import render
from course_utils.toybox.edits import (
    VOCABULARY,
    Edit,
    apply,
    instruct,
    parse_edit,
)
from course_utils.toybox.export import export, export_pictures
from course_utils.toybox.marks import MARKS
from course_utils.toybox.motion import (
    DIRECTIONS,
    MOTIONS,
    Clip,
    check_clips,
    check_motion,
    describe_clip,
    film,
    parse_clip,
    sample_clip,
)
from course_utils.toybox.palette import ALLOWED, COLOURS, GROUNDS
from course_utils.toybox.parsing import parse
from course_utils.toybox.random_edits import random_edit
from course_utils.toybox.sampling import imagine, sample
from course_utils.toybox.scene import Scene, Thing, check_scenes, describe
from course_utils.toybox.skeleton import keypoints, poses
from course_utils.toybox.solid import (
    VIEWS,
    Camera,
    Solid,
    sample_solid,
    sample_view,
    view_caption,
    view_word,
)
from course_utils.toybox.solid_render import (
    lambertian,
    render_solids,
    see_solids,
    solid_holds,
)
from course_utils.toybox.solid_toys import SOLIDS
from course_utils.toybox.subjects import (
    Subject,
    photo_scenes,
    portray,
    portray_layers,
    setting,
)
from course_utils.toybox.words import leave_out, say

__all__ = [
    "view_word",
    "view_caption",
    "solid_holds",
    "see_solids",
    "sample_view",
    "sample_solid",
    "render_solids",
    "lambertian",
    "Camera",
    "VIEWS",
    "Solid",
    "SOLIDS",
    "CloseUps",
    "closeup_captions",
    "render_closeups",
    "sample_closeups",
    "sample_dancer",
    "random_dance",
    "perform",
    "dance",
    "DANCES",
    "sample_clip",
    "parse_clip",
    "film",
    "describe_clip",
    "check_motion",
    "check_clips",
    "MOTIONS",
    "DIRECTIONS",
    "Clip",
    "ALLOWED",
    "ATTRIBUTES",
    "COLOURS",
    "CONDITIONS",
    "DRAWN",
    "Edit",
    "FACES",
    "GROUNDS",
    "HELD_OUT",
    "MARKS",
    "PLACES",
    "SHAPES",
    "Scene",
    "Subject",
    "Thing",
    "VOCABULARY",
    "apply",
    "check_scenes",
    "coloured",
    "condition",
    "depth",
    "describe",
    "edges",
    "export",
    "export_pictures",
    "graded",
    "imagine",
    "instruct",
    "keypoints",
    "leave_out",
    "masks",
    "parse",
    "parse_edit",
    "photo_scenes",
    "portray",
    "portray_layers",
    "poses",
    "random_edit",
    "relation_of",
    "render",
    "said_of",
    "sample",
    "say",
    "scribbles",
    "segmentation",
    "setting",
    "uncoloured",
]
