"""Sorting and filtering what the results review shows."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
from textual import on
from textual.widgets import DataTable

from ...datasets.errors import InputError
from ..frame.app import TextApp
from ..frame.dialogs import Ask, Choose
from .levels import Level
from .order import Order, arranged


class Arranging(TextApp):
    """An app whose tables are sorted and filtered."""

    shown = Level("", pd.DataFrame())
    whole: tuple[str, Level, str] = "run", shown, ""
    """The kind of table, the table as it was computed, and what is said about its run."""

    def on_load(self) -> None:
        """Begin with tables as they are."""
        self.orders: dict[str, Order] = {}  # by kind of table

    def again(self) -> None:
        """Show the table anew."""
        raise NotImplementedError

    def action_order(self) -> None:
        """Choose the column to sort by; the same one again turns the order round."""

        def chosen(column: str | None) -> None:
            if column is not None:
                self._arrange(self._order().by(column))

        if self.shown.columns:
            choices = {name: name for name in self.shown.columns}
            self.push_screen(Choose("Sort by which column?", choices), chosen)

    def action_wanted(self) -> None:
        """Ask for a filter."""

        def named(text: str | None) -> None:
            if text is not None:
                self._arrange(replace(self._order(), wanted=text.strip()))

        if self.shown.columns:
            title = "Rows with a text, or such as NSS > 1.5; empty for all"
            self.push_screen(Ask(title, self._order().wanted), named)

    @on(DataTable.HeaderSelected, "#table")
    def sort_clicked(self, event: DataTable.HeaderSelected) -> None:
        """Sort by the column that was clicked."""
        self._arrange(self._order().by(self.shown.columns[event.column_index]))

    def _order(self) -> Order:
        return self.orders.get(self.whole[0], Order())

    def _arrange(self, order: Order) -> None:
        """Sort and filter the table anew, unless it cannot be."""
        try:
            arranged(self.whole[1], order)
        except InputError as error:
            self.notify(str(error), severity="warning")
            return
        self.orders[self.whole[0]] = order
        self.again()
