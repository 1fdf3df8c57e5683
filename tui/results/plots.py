"""Plots of a run: units above the threshold by layer, and the distribution of a layer's units."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual_plotext import PlotextPlot

from ...datasets.texts import printable
from ...probe.runs.run import Run
from ...probe.statistics.selectivity import THRESHOLD


class Plots(ModalScreen[None]):
    """Shows both plots for a category."""

    DEFAULT_CSS = """
    Plots { align: center middle; }
    Plots > Vertical {
        width: 90%; height: 90%; padding: 1; border: round $primary; background: $surface;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = [("escape,p,q", "dismiss", "Leave")]

    def __init__(self, run: Run, category: str, layer: str) -> None:
        super().__init__()
        self._run, self._category, self._layer = run, category, layer

    def compose(self) -> ComposeResult:
        """Lay out the plots."""
        with Vertical():
            yield PlotextPlot(id="above")
            yield PlotextPlot(id="means")

    def on_mount(self) -> None:
        """Draw both plots."""
        layers, counts, means = self.series()
        name = printable(self._category)
        above = self.query_one("#above", PlotextPlot).plt
        above.bar([printable(layer) for layer in layers], counts, orientation="horizontal")
        above.title(f"units whose mean NSS for {name} is above {THRESHOLD}")
        spread = self.query_one("#means", PlotextPlot).plt
        if len(means):
            spread.hist(means.tolist(), bins=30)
            spread.vline(THRESHOLD)
        spread.title(f"mean NSS of the units of {printable(self._layer)} for {name}")

    def series(self) -> tuple[list[str], list[int], np.ndarray]:
        """Return the layers, their numbers of units above the threshold, and the layer's means."""
        above = self._run.table("above_threshold")[self._category]
        units = self._run.units
        own = (units["layer"] == self._layer) & (units["category"] == self._category)
        means = units.loc[own, "mean"].to_numpy(np.float64)
        return (
            [str(layer) for layer in above.index],
            above.astype(int).tolist(),
            means[~np.isnan(means)],
        )
