"""What both reviews share: a terminal that is asked properly, and names that are text."""

from __future__ import annotations

import gc
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any, ClassVar

from textual import work
from textual.app import App
from textual.binding import Binding
from textual.driver import Driver
from textual.reactive import reactive

from ...datasets.texts import printable
from .replies import Answered, Terminal
from .shades import THEMES


class TextApp(App[None]):
    """An app whose messages are shown as they are, without markup."""

    ALLOW_SELECT = False
    """A click is no selection of text, before which Textual draws everything anew."""

    LATER: ClassVar[Sequence[str]] = ()
    """Modules that a key may need, and that take long: imported once the screen is there."""

    LOOK: ClassVar[Binding] = Binding("T", "look", "dark or light", show=False)
    """The key for the other theme; the command palette has more of them."""

    terminal = reactive(Terminal(), layout=False)
    """What the terminal can do; half cells only, until it has answered."""

    def __init__(self) -> None:
        super().__init__()
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def action_look(self) -> None:
        """Show the light theme after a dark one, or the dark one."""
        self.theme = THEMES[self.current_theme.dark].name

    def get_driver_class(self) -> type[Driver]:
        """Return the driver that keeps the terminal's replies from becoming keys."""
        usual = super().get_driver_class()
        if sys.platform == "win32":
            return usual
        from textual.drivers.linux_driver import LinuxDriver

        from .driver import Driver as Asking

        return Asking if usual is LinuxDriver else usual

    def on_ready(self) -> None:
        """Count what was loaded as no garbage: looking through it delayed some keys by 0.2 s."""
        gc.freeze()
        if self.LATER:
            self.set_timer(1.0, self._prepare)

    @work(thread=True, group="prepare")
    def _prepare(self) -> None:
        for name in self.LATER:
            import_module(name)

    def on_answered(self, event: Answered) -> None:
        """Note what the terminal can do; `Picture` watches it."""
        self.terminal = event.terminal

    def notify(self, message: str, **options: Any) -> None:
        """Show a message."""
        super().notify(printable(message), **{**options, "markup": False})
