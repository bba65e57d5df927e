"""How good is it? Every number of the course that judges pictures, under one name.

Every score is only as good as the judge's eyes and the number of pictures, so both
are always said: the judge prints its accuracy on pictures it never saw, and a report
puts real pictures (the best that can be hoped for) and static (the worst) beside yours.

    sets of pictures   report, scene_report, fid, kid, prdc, modes_covered,
                       classes_covered
    the toybox         attribute_accuracy, grades, tuples
    pairs              psnr, ssim, iou
    with words         clip_score, clip_directional, clip_retrieval
    cost               seconds_per_image, relative_seconds, calls, kept_bytes
                       scales: peak_bytes, operations, weight_bytes of what a call does
    who looks          judge

Their homes: distances, reports, classifier, attributes, pairs, clip, cost; bench
examines a whole model, edits a way of changing pictures.
"""

from course_utils.measure.attributes import attribute_accuracy as attribute_accuracy
from course_utils.measure.attributes import grades as grades
from course_utils.measure.attributes import tuples as tuples
from course_utils.measure.classifier import ClassifierNet as ClassifierNet
from course_utils.measure.classifier import Judge as Judge
from course_utils.measure.classifier import build as build
from course_utils.measure.classifier import judge as judge
from course_utils.measure.clip import clip_directional as clip_directional
from course_utils.measure.clip import clip_retrieval as clip_retrieval
from course_utils.measure.clip import clip_score as clip_score
from course_utils.measure.cost import calls as calls
from course_utils.measure.cost import kept_bytes as kept_bytes
from course_utils.measure.cost import relative_seconds as relative_seconds
from course_utils.measure.cost import seconds_per_image as seconds_per_image
from course_utils.measure.distances import classes_covered as classes_covered
from course_utils.measure.distances import fid as fid
from course_utils.measure.distances import kid as kid
from course_utils.measure.distances import modes_covered as modes_covered
from course_utils.measure.distances import prdc as prdc
from course_utils.measure.pairs import iou as iou
from course_utils.measure.pairs import psnr as psnr
from course_utils.measure.pairs import ssim as ssim
from course_utils.measure.reports import report as report
from course_utils.measure.reports import scene_report as scene_report
