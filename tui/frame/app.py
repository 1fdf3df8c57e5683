"""What both reviews share: a terminal that is asked properly, and names that are text."""

from __future__ import annotations

import sys
from typing import Any

from textual.app import App
from textual.driver import Driver
from textual.reactive import reactive

from ...datasets.texts import printable
from .replies import Answered, Terminal


class TextApp(App[None]):
    """An app whose messages are shown as they are, without markup."""

    terminal = reactive(Terminal(), layout=False)
    """What the terminal can do; half cells only, until it has answered."""

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that keeps the terminal's replies from becoming keys."""
        usual = super().get_driver_class()
        if sys.platform == "win32":
            return usual
        from textual.drivers.linux_driver import LinuxDriver

        from .driver import Driver as Asking

        return Asking if usual is LinuxDriver else usual

    def on_answered(self, event: Answered) -> None:
        """Note what the terminal can do; `Picture` watches it."""
        self.terminal = event.terminal

    def notify(self, message: str, **options: Any) -> None:
        """Show a message."""
        super().notify(printable(message), **{**options, "markup": False})
