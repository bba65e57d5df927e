"""Toys in the round, and from where they are seen, in numbers and in words.

toy, view = Solid("car", "red"), Camera(azimuth=0.0, elevation=20.0)
view_caption(toy, view)             # "front view of a red car"
render_solids([toy], [view])        # (1, 3, 64, 64) in [-1, 1]: solid_render
"""

import math
from dataclasses import dataclass

import numpy as np

from course_utils.images import check_kind
from course_utils.toybox.attributes import check_rng, known
from course_utils.toybox.palette import COLOURS
from course_utils.toybox.solid_toys import SOLIDS
from course_utils.toybox.words import article

VIEWS = ("front", "side", "back", "overhead")
SECTOR = 60.0  # degrees of azimuth that are "front", and as many that are "back"
OVERHEAD = 60.0  # degrees of elevation from which on it is "overhead"
EDGE = 3.0  # degrees that random views keep away from where two words meet
DISTANCE = 3.2  # of the camera, in radii of the toy
MOSTLY_FRONT = (0.7, 0.2, 0.05, 0.05)  # how often each of VIEWS, as people take photos
EVENLY = (0.3, 0.36, 0.24, 0.1)


@dataclass(frozen=True)
class Solid:
    """A toy in the round: one of SOLIDS, in one of the toybox's colours."""

    toy: str
    colour: str

    def __post_init__(self):
        """Refuse what there is not."""
        if self.toy not in SOLIDS:
            raise ValueError(f"toy={self.toy!r} is not one of: {', '.join(SOLIDS)}")
        known("colour", self.colour)

    @property
    def caption(self) -> str:
        """The toy in words: "an orange robot"."""
        return article(f"{self.colour} {self.toy}")


@dataclass(frozen=True)
class Camera:
    """Where the camera stands, in degrees and radii of the toy's ball.

    azimuth    0 is before the toy's front, 90 at its left side; any finite number
    elevation  -90 to 90; 90 is straight above
    distance   of the camera from the toy's middle, from 1.5 on
    """

    azimuth: float = 0.0
    elevation: float = 15.0
    distance: float = DISTANCE

    def __post_init__(self):
        """Refuse where no camera can be."""
        numbers = self.azimuth, self.elevation, self.distance
        if not all(math.isfinite(x) for x in numbers):
            raise ValueError(f"{self}: azimuth, elevation and distance must be finite")
        if not -90 <= self.elevation <= 90:
            raise ValueError(f"elevation={self.elevation} must lie in -90..90 degrees")
        if self.distance < 1.5:
            raise ValueError(
                f"distance={self.distance}: the camera would be in the toy; take 1.5 "
                "or more"
            )

    @property
    def word(self) -> str:
        """Which of VIEWS it is."""
        return view_word(self.azimuth, self.elevation)


def view_word(azimuth: float, elevation: float = 15.0, sector: float = SECTOR) -> str:
    """The word for a direction in degrees, one of VIEWS (DreamFusion, section 3.2).

    "front" and "back" are `sector` degrees wide, above OVERHEAD all is "overhead".
    """
    if not 0 < sector < 180:
        raise ValueError(f"sector={sector} must lie between 0 and 180 degrees")
    if elevation > OVERHEAD:
        return "overhead"
    off = abs((azimuth + 180) % 360 - 180)  # from the front, 0..180
    if off <= sector / 2:
        return "front"
    return "back" if off >= 180 - sector / 2 else "side"


def view_caption(solid: Solid, view: Camera | str) -> str:
    """The toy and from where it is seen: "front view of a red car"."""
    check_kind(solid, "solid", Solid, "Solid('cat', 'red')")
    word = view.word if isinstance(view, Camera) else view
    if word not in VIEWS:
        raise ValueError(f"view={word!r} is not one of: {', '.join(VIEWS)}")
    return f"{word} view of {solid.caption}"


def sample_view(
    rng: np.random.Generator, shares: tuple[float, ...] = MOSTLY_FRONT
) -> Camera:
    """A random view; shares say how often each of VIEWS comes.

    The default is how toys are photographed when nobody says from where.
    """
    check_rng(rng)
    if len(shares) != 4 or min(shares) < 0 or not math.isclose(sum(shares), 1):
        raise ValueError(
            f"shares={shares} must be four numbers from 0 on that add to 1"
        )
    word = VIEWS[int(rng.choice(4, p=np.array(shares) / sum(shares)))]
    half = SECTOR / 2 - EDGE
    azimuth = rng.uniform(-180, 180)
    if word in ("front", "back"):
        azimuth = (180 if word == "back" else 0) + rng.uniform(-half, half)
    elif word == "side":
        left = rng.uniform(SECTOR / 2 + EDGE, 180 - SECTOR / 2 - EDGE)
        azimuth = left * (1 if rng.random() < 0.5 else -1)
    low, high = (OVERHEAD + 2, 88) if word == "overhead" else (-5, 40)
    far = rng.uniform(0.94, 1.06) * DISTANCE
    return Camera(float(azimuth), float(rng.uniform(low, high)), float(far))


def sample_solid(rng: np.random.Generator) -> Solid:
    """A random toy in the round."""
    check_rng(rng)
    toys, colours = list(SOLIDS), list(COLOURS)
    return Solid(toys[rng.integers(len(toys))], colours[rng.integers(len(colours))])
