"""The way from the terminal's keys to Textual, without the terminal's replies."""

from __future__ import annotations

import os
import select
import struct
import termios
import time
from contextlib import suppress
from fcntl import ioctl
from threading import Thread
from typing import Any

from textual.app import App
from textual.drivers.linux_driver import LinuxDriver
from textual.messages import ExitApp

from .replies import CELL, Answered, Replies, Terminal, questions
from .thrift import Thrift

_TICK_S = 0.05


class Driver(LinuxDriver):
    """Asks the terminal what it can do, and lets keys through once it has answered."""

    def __init__(self, app: App, **options: Any) -> None:
        super().__init__(app, **options)
        self._thrift = Thrift()

    def write(self, data: str) -> None:
        """Write to the terminal, without what would change nothing."""
        super().write(self._thrift.take(data))

    def start_application_mode(self) -> None:
        """Start, and ask: after Textual's own questions, so that the fence covers them too."""
        with suppress(termios.error):  # what was typed before there was anything to see
            termios.tcflush(self.fileno, termios.TCIFLUSH)
        self._replies = Replies(time.monotonic(), _cell(self.fileno))
        super().start_application_mode()
        self.write(questions())
        self.flush()

    def run_input_thread(self) -> None:
        """Let Textual read from a pipe what is left of the terminal's input."""
        terminal = self.fileno
        source, sink = os.pipe()
        sieve = Thread(target=self._sieve, args=(terminal, sink), name="replies")
        self.fileno = source
        try:
            sieve.start()
            super().run_input_thread()
        finally:
            self.fileno = terminal
            os.close(source)  # first, as the other end may wait for room
            sieve.join()

    def _sieve(self, terminal: int, sink: int) -> None:
        """Copy the terminal's input to a pipe, without the replies, until Textual reads no more."""
        told: Terminal | None = None
        with os.fdopen(sink, "wb", buffering=0) as pipe, suppress(BrokenPipeError):
            while not self.exit_event.is_set():
                ready, _, _ = select.select([terminal], [], [], _TICK_S)
                try:
                    data = os.read(terminal, 4096) if ready else b""
                except OSError:
                    data = b""
                if ready and not data:  # the terminal is gone
                    self.send_message(ExitApp())
                    self.exit_event.wait()
                    return
                keys = self._replies.take(data, time.monotonic())
                if not self._replies.waiting and self._replies.terminal != told:  # late ones too
                    told = self._replies.terminal
                    self.send_message(Answered(told))
                if keys:
                    pipe.write(keys)


def _cell(terminal: int) -> tuple[int, int]:
    """Return the pixels of a cell, where the system knows them; else what most terminals have."""
    with suppress(OSError):
        rows, columns, width, height = struct.unpack(
            "4H", ioctl(terminal, termios.TIOCGWINSZ, b"\0" * 8)
        )
        if rows and columns and width >= columns and height >= rows:
            return width // columns, height // rows
    return CELL
