"""An outline that is being drawn: each change can be undone until it is kept."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...annotate.review.editing import Edit, Editor
from ...annotate.review.outlining import (
    Box,
    Shape,
    bounds,
    found,
    grown,
    moved,
    n_points,
    outline_of,
    shape_of,
    shape_of_box,
    simplified,
)
from ...datasets.errors import InputError
from ...datasets.masks.annotation import Annotation
from ...datasets.stimuli import Stimulus


@dataclass(frozen=True)
class _State:
    """A shape, whether it is a box; or what was found in a box, as entries of ``annotations``."""

    shape: Shape
    box: bool = False
    found: Sequence[dict[str, Any]] = ()


class Draft:
    """A region's outline before it is kept.

    Parameters
    ----------
    editor : Editor
    image : Stimulus
    region : int, optional
        Id of the region that is reshaped; None for a new one.
    box : Box, optional
        Where a new one begins; by default the middle of the image.

    Attributes
    ----------
    tolerance : float
        Pixels of detail that the latest `simplify` took away.
    """

    def __init__(
        self, editor: Editor, image: Stimulus, region: int | None = None, box: Box | None = None
    ) -> None:
        self._editor, self._image, self.region = editor, image, region
        self.tolerance = 0.0
        if region is None:
            first = _State(shape_of_box(box or _middle(image), image), box=True)
        else:
            first = _State(shape_of(editor.regions[region], image))
        outline_of(first.shape, image)  # refuses an empty one
        self._states = [first]

    @property
    def changed(self) -> bool:
        """Whether there is something to undo."""
        return len(self._states) > 1

    @property
    def bounds(self) -> Box:
        """The box around the outline."""
        return bounds(self._states[-1].shape)

    def told(self) -> str:
        """Return what the outline is: its box, its corners, its fixations."""
        state, editor = self._states[-1], self._editor
        if len(state.found) > 1:
            return f"{len(state.found)} regions found"
        region = self.regions()[0]
        left, top, right, bottom = map(round, bounds(state.shape))
        count = n_points(state.shape)
        kind = "a mask" if count is None else f"{count} corners"
        text = f"{right - left}×{bottom - top} px at {left}, {top}; {kind}"
        if region.n_fixations is not None and editor.fixations is not None:
            text += f"; {region.n_fixations} fixations by {region.n_subjects} subjects"
        return text

    def regions(self) -> list[Annotation]:
        """Return the regions as they would be kept."""
        return [Annotation.model_validate(entry) for entry in self.edit().after]

    def edit(self) -> Edit:
        """Return the edit that keeps the outline."""
        state = self._states[-1]
        if state.found:
            return self._editor.add(self._image.id, state.found)
        outline = outline_of(state.shape, self._image)
        if self.region is None:
            return self._editor.add(self._image.id, [outline.to_coco()])
        return self._editor.reshape(self.region, outline)

    def set_box(self, box: Box) -> None:
        """Begin anew with a box."""
        self._step(lambda _: shape_of_box(box, self._image), box=True)

    def move(self, dx: int, dy: int) -> None:
        """Move the outline by whole pixels, to the image's edge at most."""
        box = self._states[-1].box
        self._step(lambda shape: moved(shape, dx, dy, self._image), box=box)

    def grow(self, by: float) -> None:
        """Move the outline's edge outwards, or inwards."""
        box = self._states[-1].box
        self._step(lambda shape: grown(shape, by, self._image), box=box)

    def stretch(self, dx: int, dy: int) -> None:
        """Move a box's right and lower edges.

        Raises
        ------
        InputError
            If it is no box.
        """
        left, top, right, bottom = self._box()
        wider = left, top, max(left + 1, right + dx), max(top + 1, bottom + dy)
        self.set_box(wider)

    def simplify(self) -> None:
        """Take away details, each time larger ones."""
        self.tolerance = 2 * self.tolerance or 1.0
        self._step(lambda shape: simplified(shape, self.tolerance))

    def cluster(self) -> None:
        """Cluster the fixations in the box into regions.

        Raises
        ------
        InputError
            If it is no box, or has no cluster.
        """
        box = self._box()
        regions = found(box, self._image, self._editor.masks, self._editor.fixations)
        self._states.append(_State(self._states[-1].shape, found=regions))

    def undo(self) -> bool:
        """Undo the latest change; return whether there was one."""
        self.tolerance = 0.0
        return self.changed and bool(self._states.pop())

    def _box(self) -> Box:
        state = self._states[-1]
        if not state.box:
            raise InputError("this is no box; u goes back, c in the review begins with one")
        return bounds(state.shape)

    def _step(self, make: Callable[[Shape], Shape], *, box: bool = False) -> None:
        state = self._states[-1]
        if state.found and not box:
            raise InputError("these are regions already: enter keeps them, u goes back to the box")
        shape = make(state.shape)
        outline_of(shape, self._image)  # refuses an empty one
        self._states.append(_State(shape, box))


def _middle(image: Stimulus) -> Box:
    """Return a box of a quarter of the image's width and height in its middle."""
    return 3 * image.width / 8, 3 * image.height / 8, 5 * image.width / 8, 5 * image.height / 8
