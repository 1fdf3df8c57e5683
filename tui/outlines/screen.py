"""The screen on which a region is drawn, or its outline changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Footer, Static

from ...annotate.review.editing import Edit
from ...annotate.review.journal import Review
from ...annotate.review.outlining import Box
from ...datasets.errors import InputError
from ...datasets.stimuli import Stimuli, Stimulus
from ...datasets.texts import printable
from ..frame.drawing import around
from ..frame.help import Keys
from ..stimulus.canvas import Canvas
from .draft import Draft

_STEPS = (1, 2, 4, 8, 16, 32, 64)
"""Pixels of a step."""


class Outlines(ModalScreen[Edit | None]):
    """Draws an outline; the answer is the edit that keeps it, or None.

    Parameters
    ----------
    review : Review
    stimuli : Stimuli
    image : Stimulus
    region : int, optional
        Whose outline is changed; None for a new region.
    box : Box, optional
        Where a new one begins.
    """

    DEFAULT_CSS = """
    Outlines { background: $surface; }
    Outlines #draft { height: 1; background: $panel; padding: 0 1; }
    Outlines Canvas { height: 1fr; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "help", "Keys", key_display="?", tooltip="this list"),
        Binding("enter", "keep", "Keep", priority=True, tooltip="keep the outline"),
        Binding("escape,q", "leave", "Back", tooltip="back, without the outline"),
        Binding("right", "move(1,0)", "Move", key_display="↑→", tooltip="move the outline"),
        *(
            Binding(key, f"move{step}", "", show=False, system=True)
            for key, step in (("left", "(-1,0)"), ("up", "(0,-1)"), ("down", "(0,1)"))
        ),
        Binding(
            *("L,shift+right", "stretch(1,0)", "Size"),
            key_display="HJKL",
            tooltip="a box's right and lower edge (or shift and arrows)",
        ),
        *(
            Binding(keys, f"stretch{step}", "", show=False, system=True)
            for keys, step in (
                *(("H,shift+left", "(-1,0)"), ("K,shift+up", "(0,-1)")),
                ("J,shift+down", "(0,1)"),
            )
        ),
        Binding("plus,equals_sign", "grow(1)", "Grow", key_display="+-", tooltip="grow, shrink"),
        Binding("minus", "grow(-1)", "", show=False, system=True),
        Binding("s", "simplify", "Simplify", tooltip="simplify; again, more so"),
        Binding("c", "cluster", "Cluster", tooltip="the regions that fixations in the box make"),
        Binding("u", "undo", "Undo", tooltip="undo the latest key"),
        Binding(*("full_stop", "step(1)", "longer, shorter steps"), show=False, key_display=". ,"),
        Binding("comma", "step(-1)", "", show=False, system=True),
        Binding("z", "zoom", "zoom to the outline, and out", show=False),
        Binding("d", "dots", "show or hide the fixations", show=False),
        Binding("e", "elsewhere", "draw it in Label Studio", show=False),
    ]

    def __init__(
        self,
        review: Review,
        stimuli: Stimuli,
        image: Stimulus,
        region: int | None = None,
        box: Box | None = None,
    ) -> None:
        super().__init__()
        self._review, self._stimuli, self._image = review, stimuli, image
        self._draft = Draft(review.editor, image, region, box)
        # About one cell of a terminal of 100 columns.
        self._step = max(step for step in _STEPS if step == 1 or step <= image.width / 100)

    def compose(self) -> ComposeResult:
        """Lay out the picture and the keys."""
        yield Static(id="draft")
        yield Canvas(self._review, self._stimuli)
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Show the outline, and the fixations that it is to contain."""
        self.query_one(Canvas).dots = True
        self._renew()

    @on(Canvas.Boxed)
    def boxed(self, event: Canvas.Boxed) -> None:
        """Draw the box that the mouse drew; an outline is moved as far as the mouse."""
        event.stop()
        if self._draft.region is None:
            self._do(lambda: self._draft.set_box(event.box))
        else:
            (x, y), (to_x, to_y) = event.way
            self._do(lambda: self._draft.move(round(to_x - x), round(to_y - y)))

    @on(Canvas.Chosen)
    def chosen(self, event: Canvas.Chosen) -> None:
        """Leave the other regions as they are."""
        event.stop()

    def action_keep(self) -> None:
        """Keep the outline."""
        if self._draft.region is not None and not self._draft.changed:
            self.dismiss(None)
        else:
            self.dismiss(self._draft.edit())

    def action_leave(self) -> None:
        """Leave the region as it was."""
        self.dismiss(None)

    def action_move(self, right: int, down: int) -> None:
        """Move the outline by a step."""
        self._do(lambda: self._draft.move(right * self._step, down * self._step))

    def action_stretch(self, right: int, down: int) -> None:
        """Move the box's right or lower edge by a step."""
        self._do(lambda: self._draft.stretch(right * self._step, down * self._step))

    def action_grow(self, sign: int) -> None:
        """Move the outline's edge outwards or inwards by a step."""
        self._do(lambda: self._draft.grow(sign * self._step))

    def action_simplify(self) -> None:
        """Take away details of the outline."""
        self._do(self._draft.simplify)

    def action_cluster(self) -> None:
        """Make regions of the fixations in the box."""
        self._do(self._draft.cluster)

    def action_undo(self) -> None:
        """Undo the latest key."""
        if not self._draft.undo():
            self.notify("nothing to undo here; esc leaves")
        self._renew()

    def action_step(self, sign: int) -> None:
        """Make steps longer or shorter."""
        place = _STEPS.index(self._step) + sign
        self._step = _STEPS[max(0, min(place, len(_STEPS) - 1))]
        self._renew()

    def action_zoom(self) -> None:
        """Zoom in on the outline, or out again; it can then be moved out of sight."""
        canvas = self.query_one(Canvas)
        canvas.box = None if canvas.box else around(self._draft.regions()[0], self._image)
        self._renew()

    def action_dots(self) -> None:
        """Show or hide the fixations."""
        canvas = self.query_one(Canvas)
        canvas.dots = not canvas.dots
        self._renew()

    def action_elsewhere(self) -> None:
        """Say how the outline is drawn point by point."""
        name = printable(str(self._review.path))
        self.notify(
            "point by point, by brush or polygon, in Label Studio: "
            f"annotate push {name} --project NAME --serve; "
            f"and back: annotate pull --project NAME -o {name} --serve",
            timeout=30,
        )

    def action_help(self) -> None:
        """Show all keys."""
        self.app.push_screen(Keys(self.BINDINGS, "the mouse draws a box, or moves an outline"))

    def _do(self, make: Callable[[], object]) -> None:
        try:
            make()
        except InputError as error:
            self.notify(str(error), severity="warning")
            return
        self._renew()

    def _renew(self) -> None:
        draft = self._draft
        what = "new region" if draft.region is None else f"region {draft.region}"
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(what, "bold").append(f"  step {self._step} px  ", "dim").append(draft.told())
        self.query_one("#draft", Static).update(text)
        canvas = self.query_one(Canvas)
        canvas.drafts = draft.regions()
        canvas.look(self._image, draft.region)
