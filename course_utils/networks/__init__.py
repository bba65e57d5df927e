"""General networks, called as network(x_t, t)."""

from course_utils.networks.unet import Attention as Attention
from course_utils.networks.unet import PointDenoiser as PointDenoiser
from course_utils.networks.unet import ResBlock as ResBlock
from course_utils.networks.unet import UNet as UNet
from course_utils.networks.unet import timestep_embedding as timestep_embedding
