"""The toys in the round: each has a face, lamps or a door at its front only."""

from course_utils.toybox.palette import BEAK, BLUSH, CREAM, GLASS, INK, LAMP, WOOD, rgb
from course_utils.toybox.solid_shapes import Part, ball, block, rod, taper

STEEL, COAL, BRICK, RUBBER = rgb("AEB6C4"), rgb("4A4458"), rgb("B5533C"), rgb("3A3446")
SIDES = (-1, 1)


def car() -> list[Part]:
    """Lamps and a grille in front, a spare wheel on the back; the cabin sits aft."""
    parts = [
        block("body", (0.0, 0.0, -0.2), (0.88, 0.44, 0.2), 0.3),
        taper(GLASS, (-0.2, 0.0, -0.02), (-0.24, 0.0, 0.34), (0.52, 0.38), (0.3, 0.32)),
        block("body", (-0.24, 0.0, 0.37), (0.34, 0.35, 0.06), 0.3),
        block(CREAM, (0.87, 0.0, -0.33), (0.05, 0.42, 0.05)),
        block(INK, (0.87, 0.0, -0.18), (0.03, 0.17, 0.07)),
        rod(RUBBER, (-0.86, 0.0, -0.1), (-0.97, 0.0, -0.1), 0.24),
        rod(CREAM, (-0.9, 0.0, -0.1), (-0.985, 0.0, -0.1), 0.11),
    ]
    for s in SIDES:
        parts.append(ball(LAMP, (0.86, 0.3 * s, -0.16), (0.06, 0.11, 0.11)))
        parts.append(block("shade", (-0.3, 0.36 * s, 0.16), (0.04, 0.06, 0.2)))
        for x in (-0.5, 0.52):
            parts.append(rod(RUBBER, (x, 0.3 * s, -0.4), (x, 0.5 * s, -0.4), 0.23))
            parts.append(rod(CREAM, (x, 0.4 * s, -0.4), (x, 0.52 * s, -0.4), 0.11))
    return parts


def duck() -> list[Part]:
    """A beak and eyes in front, a tail that points up behind."""
    parts = [
        ball("body", (-0.08, 0.0, -0.33), (0.68, 0.48, 0.42)),
        rod("body", (-0.5, 0.0, -0.3), (-0.92, 0.0, 0.16), 0.3, 0.12),
        ball("body", (0.32, 0.0, 0.34), (0.4, 0.4, 0.4)),
        ball(BEAK, (0.74, 0.0, 0.27), (0.24, 0.22, 0.08)),
        ball(CREAM, (0.4, 0.0, -0.4), (0.26, 0.33, 0.3)),
    ]
    for s in SIDES:
        parts.append(ball(CREAM, (0.6, 0.2 * s, 0.46), (0.1, 0.12, 0.13)))
        parts.append(ball(INK, (0.67, 0.21 * s, 0.46), (0.06, 0.07, 0.08)))
        parts.append(
            ball("shade", (-0.2, 0.43 * s, -0.28), (0.42, 0.12, 0.24), 70 - 90)
        )
        parts.append(ball(BEAK, (0.22, 0.2 * s, -0.76), (0.24, 0.14, 0.07)))
    return parts


def house() -> list[Part]:
    """A door under the gable in front, a wide window behind, a chimney to the left."""
    parts = [
        block("body", (0.0, 0.0, -0.3), (0.58, 0.52, 0.4), 0.0),
        taper("shade", (0.0, 0.0, 0.06), (0.0, 0.0, 0.68), (0.7, 0.68), (0.7, 0.02)),
        taper("body", (0.0, 0.0, 0.07), (0.0, 0.0, 0.55), (0.71, 0.5), (0.71, 0.0)),
        block(BRICK, (-0.2, 0.32, 0.5), (0.11, 0.11, 0.3), 0.0),
        block(WOOD, (0.58, 0.0, -0.42), (0.03, 0.17, 0.28), 0.0),
        ball(LAMP, (0.62, -0.1, -0.42), 0.045),
        block(CREAM, (0.66, 0.0, -0.7), (0.12, 0.26, 0.04), 0.0),
        rod(GLASS, (0.6, 0.0, 0.24), (0.73, 0.0, 0.24), 0.13),
        block(CREAM, (-0.58, 0.0, -0.24), (0.03, 0.36, 0.2), 0.0),
        block(GLASS, (-0.6, 0.0, -0.24), (0.03, 0.3, 0.15), 0.0),
    ]
    for s in SIDES:
        parts.append(block(LAMP, (0.58, 0.36 * s, -0.24), (0.03, 0.1, 0.12), 0.0))
        for x in (-0.27, 0.27):
            parts.append(block(CREAM, (x, 0.52 * s, -0.25), (0.17, 0.03, 0.19), 0.0))
            parts.append(block(GLASS, (x, 0.54 * s, -0.25), (0.12, 0.03, 0.14), 0.0))
    return parts


def cat() -> list[Part]:
    """A face in front, a raised tail with a light tip behind."""
    parts = [
        ball("body", (-0.06, 0.0, -0.48), (0.48, 0.42, 0.46)),
        ball(CREAM, (0.18, 0.0, -0.48), (0.28, 0.27, 0.34)),
        ball("body", (0.12, 0.0, 0.24), (0.44, 0.52, 0.44)),
        ball(CREAM, (0.48, 0.0, 0.12), (0.12, 0.22, 0.15)),
        ball(BLUSH, (0.6, 0.0, 0.18), (0.05, 0.07, 0.05)),
        rod("body", (-0.45, 0.0, -0.68), (-0.74, 0.0, -0.4), 0.1),
        ball("body", (-0.74, 0.0, -0.4), 0.1),
        rod("body", (-0.74, 0.0, -0.4), (-0.78, 0.0, 0.1), 0.1),
        ball(CREAM, (-0.78, 0.0, 0.16), (0.12, 0.12, 0.16)),
    ]
    for s in SIDES:
        ear = (0.08, 0.3 * s, 0.5), (0.06, 0.42 * s, 0.92)
        parts.append(rod("body", *ear, 0.2, 0.05))
        inner = (0.16, 0.31 * s, 0.52), (0.12, 0.41 * s, 0.82)
        parts.append(rod(BLUSH, *inner, 0.14, 0.1))
        parts.append(ball(INK, (0.5, 0.2 * s, 0.34), (0.08, 0.085, 0.11)))
        parts.append(ball(CREAM, (0.34, 0.22 * s, -0.86), (0.2, 0.13, 0.1)))
        parts.append(ball("shade", (-0.2, 0.32 * s, -0.7), (0.3, 0.16, 0.24)))
    return parts


def bunny() -> list[Part]:
    """A face and pink ears in front, a white tail behind."""
    parts = [
        ball("body", (-0.06, 0.0, -0.52), (0.46, 0.42, 0.42)),
        ball(CREAM, (0.16, 0.0, -0.5), (0.28, 0.27, 0.31)),
        ball("body", (0.12, 0.0, 0.04), (0.38, 0.42, 0.37)),
        ball(CREAM, (0.42, 0.0, -0.06), (0.12, 0.2, 0.13)),
        ball(BLUSH, (0.53, 0.0, 0.0), (0.05, 0.07, 0.05)),
        ball(CREAM, (-0.52, 0.0, -0.58), 0.21),
    ]
    for s in SIDES:
        parts.append(ball("body", (0.0, 0.2 * s, 0.6), (0.11, 0.15, 0.38), -6))
        parts.append(ball(BLUSH, (0.075, 0.2 * s, 0.6), (0.07, 0.09, 0.29), -6))
        parts.append(ball(INK, (0.44, 0.17 * s, 0.14), (0.075, 0.075, 0.1)))
        parts.append(ball(CREAM, (0.36, 0.23 * s, -0.86), (0.26, 0.14, 0.1)))
        parts.append(ball("shade", (-0.16, 0.34 * s, -0.68), (0.32, 0.16, 0.24)))
    return parts


def robot() -> list[Part]:
    """Eyes, mouth and buttons in front, a wind-up key in its back."""
    parts = [
        block("body", (0.0, 0.0, -0.26), (0.3, 0.42, 0.36), 0.25),
        block("body", (0.0, 0.0, 0.38), (0.28, 0.36, 0.25), 0.25),
        rod(STEEL, (0.0, 0.0, 0.05), (0.0, 0.0, 0.2), 0.14),
        rod(STEEL, (0.0, 0.0, 0.6), (0.0, 0.0, 0.84), 0.035),
        ball(LAMP, (0.0, 0.0, 0.86), 0.1),
        block(INK, (0.29, 0.0, 0.24), (0.02, 0.2, 0.045), 0.0),
        block(CREAM, (0.3, 0.0, -0.24), (0.02, 0.3, 0.2), 0.0),
        ball(BEAK, (0.32, 0.14, -0.18), (0.03, 0.07, 0.07)),
        ball(GLASS, (0.32, -0.06, -0.18), (0.03, 0.07, 0.07)),
        block(INK, (0.32, 0.02, -0.34), (0.02, 0.2, 0.03), 0.0),
        rod(STEEL, (-0.28, 0.0, -0.24), (-0.64, 0.0, -0.24), 0.07),
        block("shade", (-0.3, 0.0, -0.24), (0.02, 0.3, 0.26), 0.0),
    ]
    for s in SIDES:
        z = 0.17 * s - 0.24  # the key's wings stand upright, lest they look like eyes
        parts.append(rod(LAMP, (-0.52, 0.0, z), (-0.6, 0.0, z), 0.17))
        parts.append(rod(CREAM, (0.26, 0.16 * s, 0.44), (0.33, 0.16 * s, 0.44), 0.12))
        parts.append(rod(INK, (0.3, 0.16 * s, 0.44), (0.35, 0.16 * s, 0.44), 0.06))
        parts.append(rod(STEEL, (0.0, 0.42 * s, -0.02), (0.14, 0.56 * s, -0.42), 0.09))
        parts.append(ball("shade", (0.16, 0.57 * s, -0.48), 0.13))
        parts.append(rod(STEEL, (0.0, 0.2 * s, -0.6), (0.0, 0.2 * s, -0.84), 0.11))
        parts.append(block("shade", (0.07, 0.2 * s, -0.86), (0.24, 0.16, 0.09), 0.2))
    return parts


def engine() -> list[Part]:
    """A round boiler with a lamp in front, a cab with coal behind."""
    parts = [
        rod("body", (-0.1, 0.0, 0.0), (0.72, 0.0, 0.0), 0.34),
        rod("shade", (0.7, 0.0, 0.0), (0.78, 0.0, 0.0), 0.36),
        rod(CREAM, (0.76, 0.0, 0.0), (0.8, 0.0, 0.0), 0.27),
        rod(LAMP, (0.78, 0.0, 0.06), (0.88, 0.0, 0.06), 0.13),
        rod(COAL, (0.48, 0.0, 0.25), (0.48, 0.0, 0.72), 0.12, 1.7),
        ball(LAMP, (0.1, 0.0, 0.34), (0.13, 0.13, 0.13)),
        block("body", (-0.36, 0.0, 0.1), (0.3, 0.4, 0.48), 0.0),
        block("shade", (-0.36, 0.0, 0.62), (0.4, 0.48, 0.06), 0.0),
        block(COAL, (0.0, 0.0, -0.38), (0.8, 0.34, 0.08), 0.0),
        taper(STEEL, (0.86, 0.0, -0.62), (0.8, 0.0, -0.34), (0.14, 0.44), (0.06, 0.3)),
        block("shade", (-0.78, 0.0, -0.16), (0.14, 0.38, 0.2), 0.0),
        ball(COAL, (-0.78, 0.0, 0.04), (0.13, 0.34, 0.14)),
        block(INK, (-0.66, 0.0, 0.28), (0.02, 0.28, 0.2), 0.0),
    ]
    for s in SIDES:
        parts.append(block(GLASS, (-0.36, 0.4 * s, 0.3), (0.18, 0.02, 0.17), 0.0))
        for x, r in ((-0.5, 0.24), (0.06, 0.2), (0.5, 0.2)):
            z = r - 0.72
            parts.append(rod(RUBBER, (x, 0.3 * s, z), (x, 0.42 * s, z), r))
            parts.append(rod(CREAM, (x, 0.4 * s, z), (x, 0.44 * s, z), 0.55 * r))
    return parts


SOLIDS = dict(car=car, duck=duck, house=house, cat=cat, bunny=bunny, robot=robot)
SOLIDS |= dict(train=engine)
