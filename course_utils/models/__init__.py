"""Models by name: those that the course ships, real checkpoints, folders of yours.

shipped      folders and their hashes: `path`, `verify`; `load` makes a pipeline,
             `network` a plain network
checkpoints  the REGISTRY of real checkpoints: size, licence, needs
pipelines    pictures in and out of a pipeline: encode, decode, guided, draw
"""

from course_utils.models.checkpoints import REGISTRY as REGISTRY
from course_utils.models.checkpoints import card as card
from course_utils.models.shipped import TASKS as TASKS
from course_utils.models.shipped import load as load
from course_utils.models.shipped import network as network
from course_utils.models.shipped import path as path
from course_utils.models.shipped import verify as verify
from course_utils.models.shipped import write_sums as write_sums
