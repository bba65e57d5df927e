"""Real checkpoints on the Hugging Face hub: what each is, weighs, allows and needs.

The one place where their names are kept: repositories move and disappear, and then
this table is all that has to change. Nothing here uses the network.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Checkpoint:
    """A real checkpoint on the Hugging Face hub, and what it costs to use it."""

    repo: str
    licence: str
    gigabytes: float  # to download, in the variant named below
    vram: float  # GB of GPU memory that is about enough, in half precision
    tasks: dict[str, str]  # task -> diffusers class
    variant: str | None = None  # the half-precision files, where the repo has them
    revision: str = "main"  # a commit, so that what runs today runs tomorrow
    mirrors: tuple[str, ...] = ()  # other repos with the same files, tried in turn
    gated: bool = False  # must the licence be accepted on the hub first?
    note: str = ""
    base: str = ""  # of a LoRA: the checkpoint that it goes on top of
    lora: str = ""  # and its file


def _control(repo: str, revision: str = "main") -> Checkpoint:
    return Checkpoint(
        repo=f"lllyasviel/{repo}",
        licence="openrail",
        gigabytes=0.7,
        vram=6,
        tasks={"controlnet": "ControlNetModel"},
        variant="fp16",
        revision=revision,
        note="pass it as controlnet= when you load sd15",
    )


REGISTRY = {
    "ddpm-cifar10": Checkpoint(
        repo="google/ddpm-cifar10-32",
        licence="apache-2.0",
        gigabytes=0.15,
        vram=1,
        tasks={"unconditional": "DDPMPipeline"},
        revision="267b167dc01f0e4e61923ea244e8b988f84deb80",
        note="small enough for a CPU",
    ),
    "sd15": Checkpoint(
        repo="stable-diffusion-v1-5/stable-diffusion-v1-5",
        licence="creativeml-openrail-m",
        gigabytes=2.8,
        vram=4,
        tasks={
            "text-to-image": "StableDiffusionPipeline",
            "image-to-image": "StableDiffusionImg2ImgPipeline",
            "inpainting": "StableDiffusionInpaintPipeline",
            "control": "StableDiffusionControlNetPipeline",
        },
        variant="fp16",
        revision="451f4fe16113bff5a5d2269ed5ad43b0592e9a14",
        mirrors=("benjamin-paine/stable-diffusion-v1-5",),
    ),
    "sdxl": Checkpoint(
        repo="stabilityai/stable-diffusion-xl-base-1.0",
        licence="openrail++",
        gigabytes=7.0,
        vram=10,
        tasks={
            "text-to-image": "StableDiffusionXLPipeline",
            "image-to-image": "StableDiffusionXLImg2ImgPipeline",
        },
        variant="fp16",
        revision="462165984030d82259a11f4367a4eed129e94a7b",
    ),
    "sdxl-lightning": Checkpoint(
        repo="ByteDance/SDXL-Lightning",
        licence="openrail++",
        gigabytes=0.4,
        vram=10,
        tasks={"text-to-image": "StableDiffusionXLPipeline"},
        revision="c9a24f48e1c025556787b0c58dd67a091ece2e44",
        note="draw with num_inference_steps=4, guidance_scale=0",
        base="sdxl",
        lora="sdxl_lightning_4step_lora.safetensors",
    ),
    "lcm": Checkpoint(
        repo="SimianLuo/LCM_Dreamshaper_v7",
        licence="mit",
        gigabytes=5.5,
        vram=4,
        tasks={"text-to-image": "LatentConsistencyModelPipeline"},
        note="draw with num_inference_steps=4, guidance_scale=8",
    ),
    "deepfloyd-if": Checkpoint(
        repo="DeepFloyd/IF-I-XL-v1.0",
        licence="deepfloyd-if-license (read it before you use it)",
        gigabytes=19,
        vram=16,
        tasks={"text-to-image": "IFPipeline"},
        variant="fp16",
        gated=True,
        note="draws 64x64 pixels: what tiny-pixel is to it, tiny is to sd15",
    ),
    "stable-cascade": Checkpoint(
        repo="stabilityai/stable-cascade",
        licence="stable-cascade-nc-community (not for commercial use)",
        gigabytes=14,
        vram=20,
        tasks={"text-to-image": "StableCascadeCombinedPipeline"},
        variant="bf16",
        note="stage C comes along, from stabilityai/stable-cascade-prior",
    ),
    "instruct-pix2pix": Checkpoint(
        repo="timbrooks/instruct-pix2pix",
        licence="mit",
        gigabytes=5.5,
        vram=6,
        tasks={"instruct": "StableDiffusionInstructPix2PixPipeline"},
        revision="31519b5cb02a7fd89b906d88731cd4d6a7bbf88d",
    ),
    "controlnet-canny": _control("control_v11p_sd15_canny"),
    "controlnet-scribble": _control("control_v11p_sd15_scribble"),
    "controlnet-openpose": _control(
        "control_v11p_sd15_openpose", "9ae9f970358db89e211b87c915f9535c6686d5ba"
    ),
    "controlnet-seg": _control("control_v11p_sd15_seg"),
    "zeroscope": Checkpoint(
        repo="cerspense/zeroscope_v2_576w",
        licence="cc-by-nc-4.0 (not for commercial use)",
        gigabytes=3.7,
        vram=8,
        tasks={"text-to-video": "TextToVideoSDPipeline"},
        revision="1f35e3dc3350d649f342bb7618fe34ac8fae5c9e",
        note="this commit is its pull request 46: main has no safetensors",
    ),
    "animatediff": Checkpoint(
        repo="guoyww/animatediff-motion-adapter-v1-5-2",
        licence="apache-2.0",
        gigabytes=1.8,
        vram=8,
        tasks={"motion": "MotionAdapter"},
        note="plug it into sd15, or into what was tuned from it",
    ),
    "sparsectrl": Checkpoint(
        repo="guoyww/animatediff-sparsectrl-rgb",
        licence="none named on its page (its authors' code is apache-2.0)",
        gigabytes=1.0,
        vram=10,
        tasks={"controlnet": "SparseControlNetModel"},
        variant="fp16",
        revision="c9d1e5bbb578aed752f750efa65851ac09b71333",
        note="for AnimateDiffSparseControlNetPipeline, with sd15 and a motion adapter",
    ),
    "modelscope": Checkpoint(
        repo="ali-vilab/text-to-video-ms-1.7b",
        licence="cc-by-nc-4.0 (not for commercial use)",
        gigabytes=3.7,
        vram=8,
        tasks={"text-to-video": "TextToVideoSDPipeline"},
        variant="fp16",
        revision="8227dddca75a8561bf858d604cc5dae52b954d01",
    ),
}


def card(name: str) -> str:
    """A line that says what a real checkpoint is, its size, licence and needs."""
    if name not in REGISTRY:
        raise ValueError(f"name={name!r} is not one of: {', '.join(REGISTRY)}")
    checkpoint = REGISTRY[name]
    gated = ", after you accepted its licence there" if checkpoint.gated else ""
    base = f", on top of {checkpoint.base}" if checkpoint.base else ""
    return (
        f"{name}: {checkpoint.repo} from huggingface.co{gated}{base}, "
        f"{checkpoint.gigabytes} GB, licence {checkpoint.licence}, "
        f"about {checkpoint.vram} GB of GPU memory"
    )
