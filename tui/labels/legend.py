"""The widget that lists the categories with their keys; a click labels."""

from __future__ import annotations

from collections.abc import Mapping

from textual import events
from textual.message import Message
from textual.widgets import Static

from .texts import legend


class Legend(Static):
    """The keys of the categories.

    Parameters
    ----------
    keys : mapping
        From keys to names of categories.
    others : int
        Number of categories without a key of their own.
    """

    class Chosen(Message):
        """A category was clicked."""

        def __init__(self, category: str) -> None:
            super().__init__()
            self.category = category

    def __init__(self, keys: Mapping[str, str], others: int, *, id: str | None = None) -> None:
        super().__init__(legend(keys, others), id=id)

    def on_click(self, event: events.Click) -> None:
        """Say which category was clicked."""
        category = event.style.meta.get("category")
        if category is not None:
            self.post_message(self.Chosen(category))
