"""Networks that read pictures of the toybox; they judge, no generator learns of them.

reader      which toys, where, of what colour ... : `read`, `features`
segmenter   which pixels are toy: `silhouettes`, `toy_masks`
perception  how different two pictures look to it: `perceptual_distance`
"""

from course_utils.oracle.perception import depths as depths
from course_utils.oracle.perception import perceptual_distance as perceptual_distance
from course_utils.oracle.reading import QUESTIONS as QUESTIONS
from course_utils.oracle.reading import UNASKED as UNASKED
from course_utils.oracle.reading import Reader as Reader
from course_utils.oracle.reading import features as features
from course_utils.oracle.reading import make_reader as make_reader
from course_utils.oracle.reading import read as read
from course_utils.oracle.reading import reader as reader
from course_utils.oracle.reading import targets as targets
