"""The toybox: a little world drawn by code, whose every answer is known.

    scene = toybox.sample(rng)          # one to three toys on a ground
    scene.caption, scene.attributes     # in words, and as a dict
    toybox.render([scene])              # (1, 3, 64, 64) in [-1, 1]
    toybox.apply(scene, "make the cat blue")
    toybox.imagine("a sad cat in the snow", rng)

Rooms: palette (colours), scene (what there is), words and parsing (captions), edits
(instructions), sdf, shapes, grounds and draw (pictures), answers (masks, edges and all
else that is known of them), export (folders of pictures),
imagine (scenes from captions).
"""

from course_utils.toybox.answers import (
    depth,
    edges,
    keypoints,
    masks,
    scribbles,
    segmentation,
)
from course_utils.toybox.draw import render
from course_utils.toybox.edits import (
    VOCABULARY,
    Edit,
    apply,
    instruct,
    parse_edit,
    random_edit,
)
from course_utils.toybox.export import export
from course_utils.toybox.imagine import imagine
from course_utils.toybox.palette import ALLOWED, COLOURS, GROUNDS
from course_utils.toybox.parsing import parse
from course_utils.toybox.scene import (
    ATTRIBUTES,
    DRAWN,
    FACES,
    HELD_OUT,
    PLACES,
    SHAPES,
    Scene,
    Thing,
    sample,
)
from course_utils.toybox.words import describe, say

__all__ = [
    "ALLOWED",
    "ATTRIBUTES",
    "COLOURS",
    "DRAWN",
    "FACES",
    "GROUNDS",
    "HELD_OUT",
    "PLACES",
    "SHAPES",
    "VOCABULARY",
    "Edit",
    "Scene",
    "Thing",
    "apply",
    "depth",
    "describe",
    "edges",
    "export",
    "imagine",
    "instruct",
    "keypoints",
    "masks",
    "parse",
    "parse_edit",
    "random_edit",
    "render",
    "sample",
    "say",
    "scribbles",
    "segmentation",
]
