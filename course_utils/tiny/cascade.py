"""The miniature Stable Cascade: three stages, and the encoder that B and C agree on.

    picture  (3, 64, 64)
    stage A  (4, 16, 16)   a VQGAN: each place one of 1024 codes, 2560 bits
    effnet   (16, 4, 4)    semantic latents: what C draws and B is told

Stage C draws semantic latents from words, stage B latents of A from those, A pictures.
Classes and shapes as in Pernias et al. 2023; EfficientNet's place has a small network.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from course_utils import oracle
from course_utils.models.cascade import fit_to_64, mend_stable_cascade
from course_utils.models.quiet import quiet

CODES, SEMANTIC, WORD = 1024, 16, 128  # codes of A, channels of C, width of the words


def build_vqgan() -> nn.Module:
    """Stage A: diffusers' PaellaVQModel with fresh weights, f = 4, 0.9 M.

    It works on pictures in [0, 1]. Its codes begin as wide as the latents, which a
    batch norm keeps at variance 1: codes in a heap would mostly never be used.
    """
    mend_stable_cascade()
    from diffusers.pipelines.deprecated.wuerstchen import PaellaVQModel

    net = PaellaVQModel(
        bottleneck_blocks=3, embed_dim=128, num_vq_embeddings=CODES, scale_factor=1.0
    )
    nn.init.normal_(net.vquantizer.embedding.weight)
    for name, x in net.named_parameters():
        if name.endswith("gammas"):
            with torch.no_grad():
                x[2::3] = 0.3  # a block that adds nothing at first learns late
    return net


def nearest_codes(net: nn.Module, latents: Tensor) -> tuple[Tensor, Tensor]:
    """Which code is nearest to each latent, (B, h, w), and the codes (B, 4, h, w)."""
    rows = latents.permute(0, 2, 3, 1)
    book = net.vquantizer.embedding.weight
    which = torch.cdist(rows.flatten(0, 2), book).argmin(1)
    codes = book.index_select(0, which).view(rows.shape)
    return which.view(rows.shape[:3]), codes.permute(0, 3, 1, 2)


def quantised(net: nn.Module, latents: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest codes, with the gradient of the latents, and what keeps both close.

    van den Oord et al. 2017, eq. 3, with beta = 0.25: codes move to latents, and
    latents, more slowly, to codes.
    """
    _, codes = nearest_codes(net, latents)
    move = F.mse_loss(codes, latents.detach())
    stay = F.mse_loss(latents, codes.detach())
    return latents + (codes - latents).detach(), move + 0.25 * stay


class Effnet(nn.Module):
    """Where Stable Cascade has EfficientNet: a picture to its semantic latents."""

    def __init__(self, width: int = 32):
        super().__init__()
        wide = [width, 2 * width, 3 * width, 4 * width]
        layers, before = [], 3
        for after in wide:
            layers += [*_normed(before, after, 2), *_normed(after, after)]
            before = after
        self.body = nn.Sequential(*layers, nn.Conv2d(before, SEMANTIC, 1))
        self.standardise = nn.BatchNorm2d(SEMANTIC, affine=False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [-1, 1] -> (B, 16, 4, 4), each channel of variance 1."""
        return self.standardise(self.body(images))


def _normed(before: int, after: int, stride: int = 1) -> list[nn.Module]:
    layer = nn.Conv2d(before, after, 3, stride, padding=1, bias=False)
    return [layer, nn.BatchNorm2d(after), nn.SiLU()]


class Semantics(nn.Module):
    """The effnet while it learns: a sketch and answers must come out of its latents.

    Both heads are thrown away. A window of 2x2 latents answers for each of the nine
    places of the toybox.
    """

    def __init__(self):
        super().__init__()
        self.effnet = Effnet()
        layers, before = [], SEMANTIC
        for after in (128, 96, 64, 48):
            layers += [*_normed(before, after), nn.Upsample(scale_factor=2)]
            before = after
        self.sketch = nn.Sequential(*layers, *_normed(48, 32), nn.Conv2d(32, 3, 1))
        self.look = nn.Sequential(
            nn.Conv2d(SEMANTIC, 256, 2), nn.SiLU(), nn.Conv2d(256, 256, 1), nn.SiLU()
        )
        sizes = {name: len(values) for name, values in oracle.QUESTIONS.items()}
        self.heads = nn.ModuleDict({k: nn.Conv2d(256, n, 1) for k, n in sizes.items()})

    def forward(self, images: Tensor, noise: Tensor) -> tuple[Tensor, dict]:
        """A sketch (B, 3, 64, 64), and logits as an oracle.Reader's, of noisy latents.

        noise (B, 16, 4, 4) is added to the latents: what a little of it would change
        is not worth remembering.
        """
        latents = self.effnet(images) + 0.1 * noise
        seen = self.look(latents)  # (B, 256, 3, 3)
        logits = {name: head(seen).flatten(2) for name, head in self.heads.items()}
        ground = logits["ground"].mean(2)
        return self.sketch(latents), logits | {"ground": ground}


def build_stage_c(width: int = 224, depth: int = 3) -> nn.Module:
    """Stage C: a StableCascadeUNet that draws (16, 4, 4) from words, 3.9 M."""
    from diffusers.models import StableCascadeUNet

    triple = ("SDCascadeResBlock", "SDCascadeTimestepBlock", "SDCascadeAttnBlock")
    return _quiet_start(
        StableCascadeUNet(
            in_channels=SEMANTIC,
            out_channels=SEMANTIC,
            conditioning_dim=WORD,
            block_out_channels=(width,),
            num_attention_heads=(4,),
            down_num_layers_per_block=(depth,),
            up_num_layers_per_block=(depth,),
            down_blocks_repeat_mappers=(1,),
            up_blocks_repeat_mappers=(1,),
            block_types_per_layer=(triple,),
            clip_text_in_channels=WORD,
            clip_text_pooled_in_channels=WORD,
            clip_image_in_channels=WORD,
            clip_seq=1,
            dropout=(0.0,),
            self_attn=(True,),
            timestep_conditioning_type=(),
        )
    )


def build_stage_b() -> nn.Module:
    """Stage B: a StableCascadeUNet that draws (4, 16, 16) from (16, 4, 4), 2.1 M."""
    from diffusers.models import StableCascadeUNet

    pair = ("SDCascadeResBlock", "SDCascadeTimestepBlock")
    return _quiet_start(
        StableCascadeUNet(
            in_channels=4,
            out_channels=4,
            conditioning_dim=WORD,
            block_out_channels=(96, 160),
            num_attention_heads=(4, 4),
            down_num_layers_per_block=(2, 2),
            up_num_layers_per_block=(2, 2),
            down_blocks_repeat_mappers=(1, 1),
            up_blocks_repeat_mappers=(1, 1),
            block_types_per_layer=(pair, (*pair, "SDCascadeAttnBlock")),
            clip_text_pooled_in_channels=WORD,
            clip_seq=1,
            effnet_in_channels=SEMANTIC,
            dropout=(0.0, 0.0),
            self_attn=(True, True),
            timestep_conditioning_type=(),
        )
    )


@torch.no_grad()
def _quiet_start(net: nn.Module) -> nn.Module:
    """Begin with no noise predicted, and blocks that add little."""
    nn.init.zeros_(net.clf[1].weight)
    nn.init.zeros_(net.clf[1].bias)
    blocks = [b for level in (*net.down_blocks, *net.up_blocks) for b in level]
    for block in blocks:
        if hasattr(block, "channelwise"):
            block.channelwise[-1].weight *= len(blocks) ** -0.5
        if hasattr(block, "mapper"):
            nn.init.zeros_(block.mapper.weight)
            nn.init.zeros_(block.mapper.bias)
    return net


def with_projection(encoder: nn.Module) -> nn.Module:
    """tiny's text encoder as the CLIPTextModelWithProjection that the pipeline wants.

    Its projection changes nothing.
    """
    from transformers import CLIPTextModelWithProjection

    config = encoder.config.__class__.from_dict(encoder.config.to_dict())
    config.projection_dim = config.hidden_size
    net = CLIPTextModelWithProjection(config)
    inner = encoder.state_dict()
    names = {k.removeprefix("text_model."): k for k in net.state_dict()}
    old = {names[k.removeprefix("text_model.")]: x for k, x in inner.items()}
    missing, unknown = net.load_state_dict(old, strict=False)
    assert not unknown and missing == ["text_projection.weight"], (missing, unknown)
    nn.init.eye_(net.text_projection.weight)
    return net.eval().requires_grad_(False)


@torch.no_grad()
def heard_states(encoder: nn.Module, tokens) -> tuple[Tensor, Tensor]:
    """What the stages hear of captions: states (B, 48, 128) and pooled (B, 1, 128).

    tokens: what the tokenizer gives, with its mask. The states are those before the
    last layer norm, as the pipeline takes them.
    """
    said = encoder(**tokens, output_hidden_states=True)
    return said.hidden_states[-1], said.text_embeds.unsqueeze(1)


def cascade_pipeline(vqgan, decoder, prior, encoder, tokenizer):
    """A StableCascadeCombinedPipeline of the trained parts, for pictures of 64x64."""
    mend_stable_cascade()
    from diffusers import DDPMWuerstchenScheduler, StableCascadeCombinedPipeline

    with quiet():
        pipe = StableCascadeCombinedPipeline(
            tokenizer=tokenizer,
            text_encoder=encoder,
            decoder=decoder,
            scheduler=DDPMWuerstchenScheduler(),
            vqgan=vqgan,
            prior_prior=prior,
            prior_text_encoder=encoder,
            prior_tokenizer=tokenizer,
            prior_scheduler=DDPMWuerstchenScheduler(),
        )
    pipe.set_progress_bar_config(disable=True)
    return fit_to_64(pipe)
