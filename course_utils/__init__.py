"""The course's own library: what two or more lessons share.

Read it in this order; arrows run downwards only.

    session     device, seed, threads, run size, recorded scores
    schedules   beta, alpha_bar: how much noise at each step
    toybox      the drawn world whose every answer is known
    training    the one training loop
    data        pictures and points as tensors in [-1, 1]
    diffusion   add_noise, predict_x0, the steps, the samplers
    solvers     DPM-Solver++, DDIM inversion
    mixtures    clouds in the plane whose score is known exactly
    attention   attention written out, and watched while a network draws
    networks    the small U-Net and its parts
    gan         losses, penalties and networks of the two-player game
    checkpoints the registry of real checkpoints: size, licence, needs
    models      models by name: shipped, real, or a folder of yours
    distances   FID, KID, precision, recall, coverage, modes: on features alone
    bounds      a set of pictures beside real pictures and static
    judging     the judges of digits and clothes
    asked       do pictures show what was asked for?
    fidelity    PSNR, SSIM, IoU: one picture beside another
    clip        how close are pictures and captions? CLIP's scores
    cost        seconds and network calls
    measure     all of these under one name
    check       exercise checks and hints
    show        pictures, tables, widgets (for notebooks only)
    recipes     how each shipped weight was trained
    bench       examines a whole text-to-image model: `course bench`
    runner      runs lessons strictly and writes the report
"""

import os

__version__ = "0.1.0"

# These switches are read once, when huggingface_hub is first imported, so they must
# be set here, before any other module can import it. A learner who wants a download
# sets HF_HUB_OFFLINE=0 before starting Python.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_TELEMETRY", "1")
# Without torchvision, transformers announces a fallback that works just as well.
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
# Where DeepFloyd IF has a T5 text encoder, tiny-pixel has a CLIP: diffusers wonders.
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
