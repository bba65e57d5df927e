"""Everything a lesson shows: pictures, plots, tables, animations, widgets, progress.

Every picture needs a `title` or an `alt`, so that it can also be read aloud. Images are
floats (B, C, H, W) in [-1, 1]. `show.NAME(...)` displays and returns None; its twin
`show.draw_NAME(...)` returns the matplotlib Figure, for `show.widget`.
"""

from .curves import draw_curve
from .grids import draw_grid, draw_strip
from .plots import draw_bars, draw_heat, draw_points
from .style import axes, figure, shown
from .tables import compare, table
from .widgets import gif, progress, widget

grid = shown(draw_grid)
strip = shown(draw_strip)
curve = shown(draw_curve)
points = shown(draw_points)
bars = shown(draw_bars)
heat = shown(draw_heat)

__all__ = [
    "axes", "bars", "compare", "curve", "draw_bars", "draw_curve", "draw_grid",
    "draw_heat", "draw_points", "draw_strip", "figure", "gif", "grid", "heat",
    "points", "progress", "strip", "table", "widget",
]  # fmt: skip
