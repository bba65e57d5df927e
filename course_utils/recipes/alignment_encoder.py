"""The encoder that the miniature Stable Diffusion is aligned with (REPA).

It shares a class and the toybox with the oracle, but neither seed nor width: a
generator that is aligned with it has not been flattered by its judge.
"""

from course_utils.recipes.oracle import reader_recipe
from course_utils.recipes.recipe import Recipe
from course_utils.tiny.worlds import SMALL, WHOLE

ROLE = (
    "The maps of 8x8 that it\ncomputes of a picture are what the miniature Stable "
    "Diffusion is aligned with."
)


def alignment_encoder(
    *, steps: int | None = None, seed: int = 0, small: bool = False
) -> Recipe:
    """The reader whose maps teach the UNet (Yu et al. 2024)."""
    world, enough, turn = (SMALL, 250, 4e-3) if small else (WHOLE, 2500, None)
    name, count = "alignment-encoder", steps or enough
    return reader_recipe(name, ROLE, world, 32, count, seed + 2000, turn, small=small)
