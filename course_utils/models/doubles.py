"""Small doubles of the real checkpoints, in a cache that looks like the hub's.

A double has the classes, file names, variant, revision and model_index.json of its
original, and networks a few channels wide, of fresh weights. So the very code that
loads and runs a real checkpoint runs here, offline and in seconds; its pictures are
noise. `fill_cache(folder)`, then `models.load(task, name, cache_dir=folder)`, or plain
diffusers with the same cache_dir.
"""

import inspect
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from course_utils.models.architectures import ARCHITECTURES, assemble, part_class
from course_utils.models.asking import class_of
from course_utils.models.cascade import KIND as CASCADE
from course_utils.models.cascade import mend_stable_cascade
from course_utils.models.checkpoints import REGISTRY
from course_utils.models.quiet import no_loading_bars, quiet
from course_utils.models.shipped import path
from course_utils.training import write_whole

WIDE = 32  # channels: the 32 groups of a group norm need so many
_BLOCKS = {"block_out_channels": (WIDE,) * 4, "layers_per_block": 1}
_UNET = _BLOCKS | {"cross_attention_dim": WIDE, "attention_head_dim": 4}
_WORDS = {"hidden_size": WIDE, "intermediate_size": WIDE, "num_hidden_layers": 1}
_WORDS |= {"num_attention_heads": 2, "projection_dim": WIDE}
_GUARD = {"projection_dim": WIDE, "vision_config": _WORDS | {"patch_size": 14}}
_STAGE = {"conditioning_dim": 8, "clip_text_pooled_in_channels": WIDE}
_C = {"block_out_channels": (WIDE,) * 2, "num_attention_heads": (2, 2)}
_C |= {"clip_text_in_channels": WIDE, "clip_image_in_channels": WIDE}
_B = {"block_out_channels": (WIDE,) * 4, "num_attention_heads": (0, 0, 2, 2)}
_XL = {"block_out_channels": (WIDE,) * 3, "transformer_layers_per_block": 1}
_XL |= {"addition_time_embed_dim": 8, "cross_attention_dim": 2 * WIDE}
_T5 = {"d_model": WIDE, "d_ff": WIDE, "d_kv": 8, "num_layers": 1, "num_heads": 2}


def _shallow(config: dict[str, Any]) -> dict[str, Any]:
    layers = [k for k in config if k.endswith(("per_block", "mappers"))]
    return {k: (1,) * len(config[k]) for k in layers}


# what of its true config each class has smaller in a double
SMALL: dict[str, dict[str, Any]] = {
    "UNet2DModel": _BLOCKS,
    "UNet2DConditionModel": _UNET | {"sample_size": 8},
    "UNet3DConditionModel": _UNET | {"sample_size": 8},
    "ControlNetModel": _UNET,
    "SparseControlNetModel": _UNET,
    "MotionAdapter": {"block_out_channels": (WIDE,) * 4, "motion_layers_per_block": 1},
    "AutoencoderKL": _BLOCKS | {"sample_size": 64},
    "CLIPTextModel": _WORDS,
    "CLIPTextModelWithProjection": _WORDS,
    "CLIPVisionModelWithProjection": _WORDS,
    "StableDiffusionSafetyChecker": _GUARD,
    "T5EncoderModel": _T5,
    "PaellaVQModel": {"embed_dim": 16, "bottleneck_blocks": 1, "num_vq_embeddings": 16},
}
# and where the class does not say enough
SMALLER: dict[tuple[str, str], dict[str, Any]] = {
    ("sdxl", "unet"): _XL | {"projection_class_embeddings_input_dim": 6 * 8 + WIDE},
    ("lcm", "unet"): {"time_cond_proj_dim": WIDE},
    ("deepfloyd-if", "unet"): {"encoder_hid_dim": WIDE, "attention_head_dim": 8}
    | {"addition_embed_type_num_heads": 2},
    ("stable-cascade", "prior"): _STAGE | _C,
    ("stable-cascade", "decoder"): _STAGE | _B,
}
_STEPS = {  # the scheduler of each class of pipeline; else PNDM, as in sd15
    "DDPMPipeline": "DDPMScheduler",
    "StableDiffusionXLPipeline": "EulerDiscreteScheduler",
    "LatentConsistencyModelPipeline": "LCMScheduler",
    "IFPipeline": "DDPMScheduler",
    "StableCascadePriorPipeline": "DDPMWuerstchenScheduler",
    "StableCascadeDecoderPipeline": "DDPMWuerstchenScheduler",
}
_COMMIT = "0" * 40  # stands for a branch's newest commit


def double(name: str, seed: int = 0) -> dict[str, Any]:
    """Repository -> the small pipeline or network that stands for what it holds.

    Mostly one; of a cascade two, since stage C lies in a repository of its own.
    Raises ValueError for a name that is none, and for a LoRA, whose base has a double.
    """
    row = REGISTRY.get(name)
    if row is None or row.base:
        known = ", ".join(n for n, r in REGISTRY.items() if not r.base)
        raise ValueError(f"name must be one of {known}, not {name!r}")
    kind = next(iter(row.tasks.values()))
    with torch.random.fork_rng(), quiet():
        torch.manual_seed(seed)
        parts = _networks(name)
        if kind == CASCADE:
            mend_stable_cascade()
            late = {k: x for k, x in parts.items() if not k.startswith("prior")}
            early = {k.removeprefix("prior_"): x for k, x in parts.items()}
            return {
                row.repo: _pipeline("StableCascadeDecoderPipeline", late),
                f"{row.repo}-prior": _pipeline("StableCascadePriorPipeline", early),
            }
        if not kind.endswith("Pipeline"):
            return {row.repo: parts.popitem()[1]}
        return {row.repo: _pipeline(kind, parts)}


def fill_cache(folder: str | os.PathLike, names: Iterable[str] | None = None) -> Path:
    """Write doubles of `names`, by default all, as the hub's cache would have them.

    models--OWNER--NAME/snapshots/COMMIT/..., with the revision and variant that the
    REGISTRY asks for. Of a LoRA its base and a small LoRA are written.
    """
    folder, names = Path(folder), [*(REGISTRY if names is None else names)]
    lora = [n for n in names if n in REGISTRY and REGISTRY[n].base]
    whole = [n for n in names if n not in lora] + [REGISTRY[n].base for n in lora]
    for name in dict.fromkeys(whole):
        for repo, thing in double(name).items():
            row = REGISTRY[name]
            place = _snapshot(folder, repo, row.revision)
            with quiet(), no_loading_bars():
                thing.save_pretrained(place, variant=row.variant)
            if row.tasks.get("text-to-image") == CASCADE and repo == row.repo:
                card = f"---\nprior:\n- {repo}-prior\n---\n"
                write_whole(place / "README.md", card)
    for name in lora:
        _write_lora(folder, name)
    return folder


def _snapshot(folder: Path, repo: str, revision: str) -> Path:
    """The folder where the hub's cache has a revision of a repository."""
    home = folder / f"models--{repo.replace('/', '--')}"
    commit = revision if len(revision) == len(_COMMIT) else _COMMIT
    write_whole(home / "refs" / "main", commit)
    place = home / "snapshots" / commit
    place.mkdir(parents=True, exist_ok=True)
    return place


def _write_lora(folder: Path, name: str) -> None:
    """A LoRA for the attention of a double's U-Net, random so that it shows."""
    import peft

    row = REGISTRY[name]
    pipe = double(row.base)[REGISTRY[row.base].repo]
    config = peft.LoraConfig(r=2, target_modules=["to_q"], init_lora_weights=False)
    pipe.unet.add_adapter(config)
    layers = peft.get_peft_model_state_dict(pipe.unet)
    place = _snapshot(folder, row.repo, row.revision)
    pipe.save_lora_weights(place, unet_lora_layers=layers, weight_name=row.lora)


def _networks(name: str) -> dict[str, torch.nn.Module]:
    """The parts of a real checkpoint, small."""
    found, words = {}, _tokenizer()
    for part, (kind, config) in ARCHITECTURES[name].items():
        small = config | SMALL.get(kind, {})
        if kind == "StableCascadeUNet":
            small |= _shallow(config)
            small["block_types_per_layer"] = config["block_types_per_layer"]
        small |= SMALLER.get((name, part), {})
        if kind.startswith("CLIPText"):
            small |= {"vocab_size": len(words), "eos_token_id": words.eos_token_id}
            small |= {"bos_token_id": words.bos_token_id}
        found[part] = assemble(kind, small)
    return found


def _pipeline(kind: str, parts: dict[str, Any]) -> Any:
    """A pipeline around its networks: tokenizers, a scheduler, and what stays empty."""
    made = class_of(kind)
    wanted = inspect.signature(made.__init__).parameters
    given = {part: parts.get(part) for part in wanted if part in parts or _open(part)}
    given["scheduler"] = _scheduler(kind)
    for part in wanted:
        if part.startswith("tokenizer"):
            given[part] = _pieces() if kind == "IFPipeline" else _tokenizer()
    eyes = parts.get("safety_checker") or parts.get("image_encoder")
    if eyes is not None:
        given["feature_extractor"] = part_class("CLIPImageProcessor")()
    if "requires_safety_checker" in wanted:
        given["requires_safety_checker"] = "safety_checker" in parts
    return made(**given)


def _scheduler(kind: str) -> Any:
    if kind in _STEPS:
        return class_of(_STEPS[kind])()
    betas = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
    return class_of("PNDMScheduler")(skip_prk_steps=True, steps_offset=1, **betas)


def _open(part: str) -> bool:
    return part in ("safety_checker", "feature_extractor", "watermarker")


def _tokenizer() -> Any:
    """The miniature family's tokenizer: few words, but of the true class."""
    words = path("tiny") / "tokenizer"
    return part_class("CLIPTokenizer").from_pretrained(words)


def _pieces() -> Any:
    """A T5 tokenizer that spells."""
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -1.0)]
    letters = [(letter, -2.0) for letter in "abcdefghijklmnopqrstuvwxyz"]
    return part_class("T5Tokenizer")(vocab=special + letters, extra_ids=0)
