"""Networks that read pictures of the toybox; they judge, no generator learns of them.

reader      which toys, where, of what colour ... : `read`, `features`
segmenter   which pixels are toy: `silhouettes`, `toy_masks`
closeups    which toy fills a picture: `read_closeups`, `closeup_confidence`
perception  how different two pictures look to it: `perceptual_distance`
views       of a toy in the round, from where it is seen: `read_views`
"""

from course_utils.oracle.closeups import ANSWERS as ANSWERS
from course_utils.oracle.closeups import CloseupReader as CloseupReader
from course_utils.oracle.closeups import closeup_confidence as closeup_confidence
from course_utils.oracle.closeups import closeup_reader as closeup_reader
from course_utils.oracle.closeups import read_closeups as read_closeups
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
from course_utils.oracle.views import read_views as read_views
