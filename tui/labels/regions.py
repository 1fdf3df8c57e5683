"""The widget that lists an image's regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.widgets import DataTable

from ...annotate.review.editing import Editor
from ...datasets.masks.annotation import Annotation
from ..frame.tables import fill
from .texts import COLUMNS, row


class Regions(DataTable[Text], can_focus=False):
    """The regions of the image, of which one is selected; the keys are their ids.

    Parameters
    ----------
    second : mapping
        From region ids to the categories that another annotator gave.
    id : str, optional
    """

    def __init__(self, second: Mapping[int, str], *, id: str | None = None) -> None:
        super().__init__(id=id, cursor_type="row", zebra_stripes=True)
        self._second = second
        self._listed: Sequence[Annotation] = ()
        self._dark = True

    def look(self, editor: Editor, regions: Sequence[Annotation], selected: int | None) -> None:
        """List regions; those that are listed already are drawn anew only if they changed."""
        with self.prevent(DataTable.RowHighlighted):
            if not self._renewed(editor, regions):
                self._dark = dark = self.app.current_theme.dark
                rows = [row(editor, region, self._second, dark) for region in regions]
                numbers = [str(region.id) for region in regions]
                fill(self, [Text(name) for name in COLUMNS], rows, numbers)
            self._listed = regions
            self.select(selected)

    def select(self, selected: int | None) -> None:
        """Move the cursor to a region, without a message."""
        place = next((k for k, one in enumerate(self._listed) if one.id == selected), None)
        if place is not None:
            with self.prevent(DataTable.RowHighlighted):
                self.move_cursor(row=place)

    def _renewed(self, editor: Editor, regions: Sequence[Annotation]) -> bool:
        """Replace the cells that changed; return whether these are the same regions, and fit."""
        before, dark = self._listed, self.app.current_theme.dark
        if (
            not before
            or dark != self._dark
            or [one.id for one in before] != [one.id for one in regions]
        ):
            return False
        columns = self.ordered_columns
        for old, new in zip(before, regions, strict=True):
            if old is new:
                continue
            cells = row(editor, new, self._second, dark)
            if any(cell.cell_len > col.width for cell, col in zip(cells, columns, strict=True)):
                return False  # Textual would measure them only when it is idle
            for cell, column in zip(cells, columns, strict=True):
                if cell != self.get_cell(str(new.id), column.key):
                    self.update_cell(str(new.id), column.key, cell)
        return True
