"""Between noise and data, in the papers' letters; see `forward` for what they mean.

forward     noise in at once, and what a prediction says about x0
steps       one step back: DDPM, DDIM, guidance
sampling    the one loop that walks all the way, by any step
solvers     DPM-Solver++, and DDIM backwards
mixtures    clouds in the plane whose score is known exactly
sde         continuous time: VP, VE and sub-VP, their scores, predictor and corrector
ratios      noise by a ratio from 0 to 1, as Stable Cascade has it
likelihood  the probability flow, and exact likelihood by it
flow_matching  straight lines between noise and data, and Euler's steps back
"""

from course_utils.diffusion.flow_matching import as_flow as as_flow
from course_utils.diffusion.flow_matching import euler_path as euler_path
from course_utils.diffusion.flow_matching import flow_grid as flow_grid
from course_utils.diffusion.flow_matching import flow_path as flow_path
from course_utils.diffusion.flow_matching import flow_times as flow_times
from course_utils.diffusion.flow_matching import flow_velocity as flow_velocity
from course_utils.diffusion.flow_matching import straightness as straightness
from course_utils.diffusion.forward import Model as Model
from course_utils.diffusion.forward import add_noise as add_noise
from course_utils.diffusion.forward import predict_noise as predict_noise
from course_utils.diffusion.forward import predict_x0 as predict_x0
from course_utils.diffusion.forward import target as target
from course_utils.diffusion.forward import velocity as velocity
from course_utils.diffusion.forward import x0_and_noise as x0_and_noise
from course_utils.diffusion.sampling import Step as Step
from course_utils.diffusion.sampling import sample as sample
from course_utils.diffusion.sampling import timesteps as timesteps
from course_utils.diffusion.sampling import trajectory as trajectory
from course_utils.diffusion.steps import ddim_step as ddim_step
from course_utils.diffusion.steps import ddpm_step as ddpm_step
from course_utils.diffusion.steps import guidance as guidance
from course_utils.diffusion.steps import posterior as posterior
