"""The toybox's colours: what toys and grounds look like, and which go together.

Colours are sRGB triples in 0..1. `contrast` is the distance in OKLab (Ottosson 2020),
where equal distances look equally different.
"""

import numpy as np


def rgb(code: str) -> tuple[float, float, float]:
    """Red, green and blue in 0..1 of a six-digit hex code such as "E63946"."""
    return tuple(int(code[i : i + 2], 16) / 255 for i in (0, 2, 4))


COLOURS = {
    "red": rgb("E4313F"),
    "orange": rgb("FA8419"),
    "yellow": rgb("FFC81F"),
    "green": rgb("1FA35C"),
    "blue": rgb("2568E0"),
    "purple": rgb("9A3CC2"),
    "pink": rgb("FF6CAE"),
    "brown": rgb("855036"),
}
INK, CREAM = rgb("2A2238"), rgb("FFF8E7")
BEAK, GLASS, BLUSH, TEAR = rgb("FF9A1F"), rgb("BFE6F5"), rgb("FF9FB2"), rgb("4FB7F0")
LAMP, WOOD = rgb("FFE27A"), rgb("6B4530")

# the two tones of each coloured ground: main and second
TONES = {
    "cream": (rgb("FBF0DA"), rgb("F5E2BF")),
    "mint": (rgb("CFF0DF"), rgb("A3DCC2")),
    "lilac": (rgb("E2D8F6"), rgb("C3B2E6")),
    "peach": (rgb("FFDFCF"), rgb("FFC9B3")),
}
# the large areas of each setting; decoration on top of them is small
SETTINGS = {
    "sky": (rgb("8CCBF5"), rgb("D6EEFC")),
    "snow": (rgb("F1F7FB"), rgb("C4D9E8")),
    "sand": (rgb("F2D9A2"), rgb("E6BF7C")),
    "sea": (rgb("3FA9C9"), rgb("2484AE")),
    "night": (rgb("2B2F6B"), rgb("474C9C")),
    "grass": (rgb("9AD36A"), rgb("C9ECF2")),
}
STYLES = ("plain", "striped", "fading")
GROUNDS = {f"{style} {tone}": TONES[tone] for tone in TONES for style in STYLES}
GROUNDS |= SETTINGS


def oklab(colour: tuple[float, float, float]) -> np.ndarray:
    """OKLab coordinates (3,) of an sRGB colour in 0..1 (Ottosson 2020)."""
    c = np.asarray(colour, dtype=np.float64)
    c = np.where(c > 0.04045, ((c + 0.055) / 1.055) ** 2.4, c / 12.92)
    to_lms = [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
    to_lab = [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
    return np.array(to_lab) @ np.cbrt(np.array(to_lms) @ c)


def contrast(colour: str, ground: str) -> float:
    """Smallest OKLab distance between a toy's colour and the areas of a ground."""
    c = oklab(COLOURS[colour])
    return min(float(np.linalg.norm(c - oklab(area))) for area in GROUNDS[ground])


MIN_CONTRAST = 0.15
# ground -> the colours that stand out on it; scenes use no others
ALLOWED = {
    ground: [c for c in COLOURS if contrast(c, ground) >= MIN_CONTRAST]
    for ground in GROUNDS
}
