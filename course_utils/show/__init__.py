"""Everything a lesson shows: pictures, plots, drawings, tables, widgets, progress.

Every picture needs a `title` or an `alt`, so that it can also be read aloud. Images are
floats (B, C, H, W) in [-1, 1]. `show.NAME(...)` displays and returns None; its twin
`show.draw_NAME(...)` returns the matplotlib Figure, for `show.widget`.
"""

from .canvas import button, canvas, viewer
from .curves import draw_curve
from .diagrams import draw_diagram
from .grids import draw_grid, draw_strip
from .machines import (
    draw_chain,
    draw_controlnet,
    draw_gan,
    draw_latent_diffusion,
    draw_unet,
)
from .output import figure, shown
from .plots import draw_bars, draw_heat, draw_points
from .style import axes
from .tables import compare, table
from .transparencies import draw_transparencies
from .widgets import gif, progress, widget

grid = shown(draw_grid)
strip = shown(draw_strip)
curve = shown(draw_curve)
points = shown(draw_points)
bars = shown(draw_bars)
heat = shown(draw_heat)
diagram = shown(draw_diagram)
gan = shown(draw_gan)
controlnet = shown(draw_controlnet)
unet = shown(draw_unet)
chain = shown(draw_chain)
latent_diffusion = shown(draw_latent_diffusion)
transparencies = shown(draw_transparencies)

__all__ = [
    "axes", "bars", "button", "canvas", "chain", "compare", "controlnet",
    "curve", "diagram", "draw_bars", "draw_chain", "draw_controlnet", "draw_curve",
    "draw_diagram", "draw_gan", "draw_grid", "draw_heat", "draw_latent_diffusion",
    "draw_points", "draw_strip", "draw_transparencies", "draw_unet", "figure", "gan",
    "gif", "grid", "heat", "latent_diffusion", "points", "progress", "strip", "table",
    "transparencies", "unet", "viewer", "widget",
]  # fmt: skip
