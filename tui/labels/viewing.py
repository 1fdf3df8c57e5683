"""How the image under review is shown, each a key: zoomed, with fixations or scanpaths."""

from __future__ import annotations

from ..stimulus.canvas import Canvas
from .edits import Editing


class Viewing(Editing):
    """An app that shows the image of the selected region."""

    def redraw(self) -> None:
        """Show the image and its region anew."""
        raise NotImplementedError

    def action_zoom(self) -> None:
        """Zoom in on the region, or out again."""
        canvas = self.query_one(Canvas)
        canvas.zoomed = not canvas.zoomed
        self.redraw()

    def action_dots(self) -> None:
        """Show or hide the fixations."""
        canvas = self.query_one(Canvas)
        canvas.dots = not canvas.dots
        self.redraw()

    def action_path(self) -> None:
        """Show or hide the scanpath."""
        canvas = self.query_one(Canvas)
        canvas.path = not canvas.path
        self._follow_path()

    def action_subject(self, step: int) -> None:
        """Show the next subject's scanpath, or all."""
        self.query_one(Canvas).follow(step)
        self._follow_path()

    def action_replay(self) -> None:
        """Replay the scanpath."""
        self.query_one(Canvas).replay()
        self._follow_path()

    def _follow_path(self) -> None:
        canvas = self.query_one(Canvas)
        self.said = canvas.told() if canvas.path else ""
        if not canvas.path:
            canvas.stop()
        self.redraw()
