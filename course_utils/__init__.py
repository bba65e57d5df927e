"""The course's own library: what two or more lessons share.

Arrows run downwards only: a room knows none above it.

    commands    what `course VERB` does
    recipes     one file a shipped weight: `course train NAME`
    tiny        the miniature family's networks and batches
    check       exercise checks and hints
    measure     every number that judges
    oracle      networks that read pictures of the toybox
    methods     one paper a file, where two lessons share it
    models      weights by name, pipelines in and out
    diffusion   noise <-> data in the papers' letters
    toybox      the drawn world whose every answer is known
    training    the one training loop, Muon, speed
    networks    general networks: the small U-Net and its parts
    data        pictures and points as tensors in [-1, 1]
    images      pictures checked, in parts, as bytes, in sheets
    schedules   how much noise at each step
    session     device, seed, threads, run size, recorded scores and claims
    show        pictures, tables, widgets: for lessons and the report only
    weights     what the course ships
"""

import logging
import os

__version__ = "0.1.0"

# These switches are read once, when huggingface_hub is first imported, so they must
# be set here, before any other module can import it. A learner who wants a download
# sets HF_HUB_OFFLINE=0 before starting Python.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_TELEMETRY", "1")
# What diffusers and transformers warn of is worth reading, but for these: the logger,
# and words that such a message has.
HARMLESS = {
    # Without torchvision there is a fallback, which works just as well.
    "transformers.utils.import_utils": ("requires torchvision", "falling back to"),
    # Where DeepFloyd IF has a T5 text encoder, tiny-pixel has a CLIP.
    "diffusers.pipelines.pipeline_utils": ("T5EncoderModel", "got", "CLIPTextModel"),
}


def _worth_reading(record: logging.LogRecord) -> bool:
    """Is a message of one of these loggers none of the HARMLESS?"""
    return not all(word in record.getMessage() for word in HARMLESS[record.name])


for _name in HARMLESS:  # neither library is imported by this
    logging.getLogger(_name).addFilter(_worth_reading)
