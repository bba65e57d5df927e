"""Between noise and data, in the papers' letters; see `steps` for what they mean.

steps       noise in, one step back, and the one loop that walks all the way
solvers     DPM-Solver++ and DDIM backwards
mixtures    clouds in the plane whose score is known exactly
"""

from course_utils.diffusion.steps import Model as Model
from course_utils.diffusion.steps import add_noise as add_noise
from course_utils.diffusion.steps import alpha_bars as alpha_bars
from course_utils.diffusion.steps import ddim_step as ddim_step
from course_utils.diffusion.steps import ddpm_step as ddpm_step
from course_utils.diffusion.steps import guidance as guidance
from course_utils.diffusion.steps import posterior as posterior
from course_utils.diffusion.steps import predict_noise as predict_noise
from course_utils.diffusion.steps import predict_x0 as predict_x0
from course_utils.diffusion.steps import sample as sample
from course_utils.diffusion.steps import timesteps as timesteps
from course_utils.diffusion.steps import trajectory as trajectory
from course_utils.diffusion.steps import velocity as velocity
from course_utils.diffusion.steps import x0_and_noise as x0_and_noise
