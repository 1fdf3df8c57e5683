"""What both programs in the terminal share: names in messages are text."""

from __future__ import annotations

from typing import Any

from textual.app import App

from ...datasets.texts import printable


class TextApp(App[None]):
    """An app whose messages are shown as they are, without markup."""

    def notify(self, message: str, **options: Any) -> None:
        """Show a message."""
        super().notify(printable(message), **{**options, "markup": False})
