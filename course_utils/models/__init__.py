"""Models by name: those that the course ships, real checkpoints, folders of yours.

shipped      folders and their hashes: `path`, `verify`
loading      `load` makes a pipeline of a shipped model, a folder, a real checkpoint
asking       what may be asked of a class of diffusers; hub: real checkpoints
plain        `network` makes a plain nn.Module
quiet        loading without bars
checkpoints  the REGISTRY of real checkpoints: size, licence, needs
cascade      Stable Cascade, mended: it loads, and draws in three stages
configs      their networks' published configs; architectures builds and counts these
native       one call of each, in the size that it draws in
doubles      small doubles of them, to rehearse with
pipelines    pictures in and out of a pipeline: encode, decode, guided, draw
"""

from course_utils.models.asking import TASKS as TASKS
from course_utils.models.checkpoints import REGISTRY as REGISTRY
from course_utils.models.checkpoints import card as card
from course_utils.models.loading import load as load
from course_utils.models.plain import frozen as frozen
from course_utils.models.plain import network as network
from course_utils.models.quiet import no_loading_bars as no_loading_bars
from course_utils.models.shipped import path as path
from course_utils.models.shipped import verify as verify
from course_utils.models.shipped import write_sums as write_sums
