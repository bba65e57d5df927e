"""DreamBooth: teach a network one subject, and keep what it knew (Ruiz et al. 2023).

A few pictures of the subject are shown under "a sks star": a rare token and the class
noun. Beside them go pictures of the class that the network drew itself before, under
"a star", so that it does not forget them (prior preservation). LoRA (Hu et al. 2022)
leaves the weights alone and learns a difference of low rank to them, here by `peft`.

    paper                       code            what it is
    x, c                        x0, prompt      the subject's latents and their prompt
    x_pr, c_pr                  prior, class_prompt   the same of the class
    lambda                      prior_weight    how much the class counts
"""

import copy
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from course_utils import diffusion, training
from course_utils.images import check_tensor, check_whole
from course_utils.models.pipelines import encode, plan_of
from course_utils.schedules import Schedule

ATTENTION = ["to_q", "to_k", "to_v", "to_out.0"]  # of the UNet; what LoRA is added to


class Learner(nn.Module):
    """What learns: copies of a pipeline's UNet and text encoder, in a pipeline.

    pipe   the pipeline with the copies: it draws what was learnt. The one given stays
    rank   of the LoRA, which alone learns then; None trains all weights
    words  whether the text encoder learns too
    """

    def __init__(self, pipe, rank: int | None = None, words: bool = True):
        super().__init__()
        self.unet = copy.deepcopy(pipe.unet)
        self.text_encoder = copy.deepcopy(pipe.text_encoder)
        parts = dict(unet=self.unet, text_encoder=self.text_encoder)
        self.pipe = type(pipe)(**pipe.components | parts, requires_safety_checker=False)
        self.pipe.set_progress_bar_config(disable=True)
        self.requires_grad_(rank is None)
        self.text_encoder.requires_grad_(rank is None and words)
        if rank is not None:
            add_lora(self.unet, rank)

    def forward(self, x_t: Tensor, t: Tensor, tokens: Tensor) -> Tensor:
        """The network's answer, of the shape of x_t; tokens (B, length)."""
        words = self.text_encoder(tokens)[0]
        return self.unet(x_t, t, words).sample
