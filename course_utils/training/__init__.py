"""The one training loop, Muon, and what makes training faster on this machine."""

from course_utils.training.checkpoint import State as State
from course_utils.training.checkpoint import check_settings as check_settings
from course_utils.training.loop import Batch as Batch
from course_utils.training.loop import Loss as Loss
from course_utils.training.loop import chapter as chapter
from course_utils.training.loop import train as train
from course_utils.training.loop import update_ema as update_ema
from course_utils.training.whole import own_folder as own_folder
from course_utils.training.whole import save_whole as save_whole
from course_utils.training.whole import write_json as write_json
from course_utils.training.whole import write_whole as write_whole
from course_utils.training.whole import written_whole as written_whole
