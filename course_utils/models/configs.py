"""The published configs of real checkpoints' networks, each from its repository.

ARCHITECTURES[name][part] is the class and config; architectures builds from it.
"""

from typing import Any

Part = tuple[str, dict[str, Any]]  # a class's name, and its config

_FOUR_DOWN = {
    "layers_per_block": 2,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
}
_VAE = {"block_out_channels": (128, 256, 512, 512), "sample_size": 512} | _FOUR_DOWN
_HEADS = {"cross_attention_dim": 768, "attention_head_dim": 8}
_SD = _HEADS | {"sample_size": 64}
_SDXL = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_RES, _ATTN = ("SDCascadeResBlock", "SDCascadeTimestepBlock"), ("SDCascadeAttnBlock",)
_STAGE_C = {
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": 1,
    "conditioning_dim": 2048,
    "block_out_channels": (2048, 2048),
    "num_attention_heads": (32, 32),
    "down_num_layers_per_block": (8, 24),
    "up_num_layers_per_block": (24, 8),
    "down_blocks_repeat_mappers": (1, 1),
    "up_blocks_repeat_mappers": (1, 1),
    "block_types_per_layer": (_RES + _ATTN,) * 2,
    "clip_text_in_channels": 1280,
    "clip_text_pooled_in_channels": 1280,
    "clip_image_in_channels": 768,
    "dropout": (0.1, 0.1),
    "timestep_conditioning_type": ("sca", "crp"),
    "switch_level": (False,),
}
_STAGE_B = {
    "in_channels": 4,
    "out_channels": 4,
    "patch_size": 2,
    "conditioning_dim": 1280,
    "block_out_channels": (320, 640, 1280, 1280),
    "num_attention_heads": (0, 0, 20, 20),
    "down_num_layers_per_block": (2, 6, 28, 6),
    "up_num_layers_per_block": (6, 28, 6, 2),
    "down_blocks_repeat_mappers": (1, 1, 1, 1),
    "up_blocks_repeat_mappers": (3, 3, 2, 2),
    "block_types_per_layer": (_RES, _RES, _RES + _ATTN, _RES + _ATTN),
    "clip_text_pooled_in_channels": 1280,
    "effnet_in_channels": 16,
    "pixel_mapper_in_channels": 3,
    "dropout": (0, 0, 0.1, 0.1),
    "timestep_conditioning_type": ("sca",),
}
_DEEPFLOYD = {
    "sample_size": 64,
    "in_channels": 3,
    "out_channels": 6,
    "block_out_channels": (704, 1408, 2112, 2816),
    "layers_per_block": 3,
    "down_block_types": ("ResnetDownsampleBlock2D",)
    + ("SimpleCrossAttnDownBlock2D",) * 3,
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D",) * 3 + ("ResnetUpsampleBlock2D",),
    "cross_attention_dim": 2816,
    "encoder_hid_dim": 4096,
    "attention_head_dim": 64,
    "addition_embed_type": "text",
    "cross_attention_norm": "group_norm",
    "resnet_time_scale_shift": "scale_shift",
    "act_fn": "gelu",
}
_T5_XXL = {
    "d_model": 4096,
    "d_ff": 10240,
    "d_kv": 64,
    "num_layers": 24,
    "num_heads": 64,
    "feed_forward_proj": "gated-gelu",
    "vocab_size": 32128,
}
_CIFAR = {
    "sample_size": 32,
    "block_out_channels": (128, 256, 256, 256),
    "down_block_types": ("DownBlock2D", "AttnDownBlock2D") + ("DownBlock2D",) * 2,
    "up_block_types": ("UpBlock2D",) * 2 + ("AttnUpBlock2D", "UpBlock2D"),
    "attention_head_dim": None,
    "downsample_padding": 0,
}


def _words(width: int, layers: int, heads: int, **more: Any) -> dict[str, Any]:
    config = {"hidden_size": width, "intermediate_size": 4 * width}
    config |= {"num_hidden_layers": layers, "num_attention_heads": heads}
    return config | {"eos_token_id": 49407, "bos_token_id": 49406} | more


_EYES = _words(1024, 24, 16, patch_size=14, projection_dim=768)  # CLIP ViT-L/14's
_CLIP_L: Part = ("CLIPTextModel", _words(768, 12, 12))
_CLIP_H: Part = ("CLIPTextModel", _words(1024, 23, 16, hidden_act="gelu"))
_BIG_G = _words(1280, 32, 20, projection_dim=1280, hidden_act="gelu")
_CLIP_G: Part = ("CLIPTextModelWithProjection", _BIG_G)
_GUARD: Part = (
    "StableDiffusionSafetyChecker",
    {"projection_dim": 768, "vision_config": _EYES, "text_config": _words(8, 1, 1)},
)
_STABLE = {"vae": ("AutoencoderKL", _VAE), "text_encoder": _CLIP_L}
_CONTROL = {"controlnet": ("ControlNetModel", _HEADS)}
_VIDEO = {
    "unet": ("UNet3DConditionModel", {"cross_attention_dim": 1024}),
    "vae": ("AutoencoderKL", _VAE),
    "text_encoder": _CLIP_H,
}
# name in the REGISTRY -> part -> its class and config
ARCHITECTURES: dict[str, dict[str, Part]] = {
    "ddpm-cifar10": {"unet": ("UNet2DModel", _CIFAR)},
    "sd15": {"unet": ("UNet2DConditionModel", _SD)}
    | _STABLE
    | {"safety_checker": _GUARD},
    "sdxl": {
        "unet": ("UNet2DConditionModel", _SDXL),
        "vae": ("AutoencoderKL", _VAE),
        "text_encoder": _CLIP_L,
        "text_encoder_2": _CLIP_G,
    },
    "lcm": {"unet": ("UNet2DConditionModel", _SD | {"time_cond_proj_dim": 256})}
    | _STABLE
    | {"safety_checker": _GUARD},
    "deepfloyd-if": {
        "unet": ("UNet2DConditionModel", _DEEPFLOYD),
        "text_encoder": ("T5EncoderModel", _T5_XXL),
    },
    "stable-cascade": {
        "prior": ("StableCascadeUNet", _STAGE_C),
        "prior_text_encoder": _CLIP_G,
        "prior_image_encoder": ("CLIPVisionModelWithProjection", _EYES),
        "decoder": ("StableCascadeUNet", _STAGE_B),
        "text_encoder": _CLIP_G,
        "vqgan": ("PaellaVQModel", {}),
    },
    "instruct-pix2pix": {"unet": ("UNet2DConditionModel", _SD | {"in_channels": 8})}
    | _STABLE
    | {"safety_checker": _GUARD},
    "controlnet-canny": _CONTROL,
    "controlnet-scribble": _CONTROL,
    "controlnet-openpose": _CONTROL,
    "controlnet-seg": _CONTROL,
    "zeroscope": _VIDEO,
    "modelscope": _VIDEO,
    "animatediff": {"motion": ("MotionAdapter", {})},
    "sparsectrl": {"controlnet": ("SparseControlNetModel", _HEADS)},
}
# bytes a weight has in the files that the REGISTRY's row names
BYTES_ON_DISK = dict.fromkeys(ARCHITECTURES, 2) | dict.fromkeys(
    ("ddpm-cifar10", "lcm", "instruct-pix2pix", "animatediff"), 4
)
