"""Plots of a run: units above the threshold by layer, and how a layer's units are distributed."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Grid, Vertical
from textual.screen import ModalScreen
from textual_plotext import PlotextPlot

from ...datasets.texts import printable
from ...probe.runs.run import Run
from ...probe.statistics.selectivity import THRESHOLD


class Plots(ModalScreen[None]):
    """Shows both plots for a category; `h` shows the histograms of all categories."""

    DEFAULT_CSS = """
    Plots { align: center middle; }
    Plots > Vertical {
        width: 96%; height: 96%; border: round $primary; background: $surface;
    }
    Plots Grid { grid-size: 4; grid-rows: 1fr; display: none; }
    Plots.-all Grid { display: block; layout: grid; }
    Plots.-all #one { display: none; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("escape,p,q", "dismiss", "Leave"),
        ("h", "all", "All"),
    ]

    def __init__(self, run: Run, category: str, layer: str) -> None:
        super().__init__()
        self._run, self._category, self._layer = run, category, layer

    def compose(self) -> ComposeResult:
        """Lay out the plots."""
        with Vertical() as frame:
            frame.border_subtitle = "h: all categories, or one · esc leave"
            with Vertical(id="one"):
                yield PlotextPlot(id="above")
                yield PlotextPlot(id="means")
            with Grid():
                for _ in self._run.info.categories:
                    yield PlotextPlot(classes="of-one")

    def on_mount(self) -> None:
        """Draw all plots."""
        layers, counts, means = self.series()
        name = printable(self._category)
        above = self.query_one("#above", PlotextPlot).plt
        above.bar([printable(layer) for layer in layers], counts, orientation="horizontal")
        above.title(f"units whose mean NSS for {name} is above {THRESHOLD}")
        title = f"mean NSS of the units of {printable(self._layer)} for {name}"
        _histogram(self.query_one("#means", PlotextPlot).plt, means, title)
        categories = self._run.info.categories
        of_all = [self.means(category) for category in categories]
        values = np.concatenate(of_all)
        for plot, category, own in zip(
            self.query(".of-one").results(PlotextPlot), categories, of_all, strict=True
        ):
            _histogram(plot.plt, own, f"{printable(category)}, {len(own)} units")
            if len(values):  # one axis for all
                plot.plt.xlim(float(values.min()), float(values.max()))

    def action_all(self) -> None:
        """Show the histograms of all categories, or the plots of one."""
        self.toggle_class("-all")

    def series(self) -> tuple[list[str], list[int], np.ndarray]:
        """Return the layers, their numbers of units above the threshold, and the layer's means."""
        above = self._run.table("above_threshold")[self._category]
        layers = [str(layer) for layer in above.index]
        return layers, above.astype(int).tolist(), self.means(self._category)

    def means(self, category: str) -> np.ndarray:
        """Return the mean NSS of the layer's units for a category, without those of no score."""
        units = self._run.units
        own = (units["layer"] == self._layer) & (units["category"] == category)
        means = units.loc[own, "mean"].to_numpy(np.float64)
        return means[~np.isnan(means)]


def _histogram(plot: Any, means: np.ndarray, title: str) -> None:
    if len(means):
        plot.hist(means.tolist(), bins=30)
        plot.vline(THRESHOLD)
    plot.title(title)
