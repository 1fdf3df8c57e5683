"""Saving in the background, and what to do with a file that another program changed."""

from __future__ import annotations

from textual import work
from textual.timer import Timer

from ...annotate.review.journal import Conflict, Review, Snapshot
from ...datasets.errors import InputError
from ..frame.app import TextApp
from ..frame.dialogs import Choose

_SAVE_S = 0.7  # seconds after the last key


class Saving(TextApp):
    """An app that saves a review when no key follows for a moment.

    Parameters
    ----------
    review : Review
    """

    def __init__(self, review: Review) -> None:
        super().__init__()
        self.review = review
        self._timer: Timer | None = None

    def saved(self) -> None:
        """Show that the file is saved, or is not."""

    def resolved(self) -> None:
        """Show the file as another program left it, with the edits that still fit."""

    def action_leave(self) -> None:
        """Save and quit."""
        try:
            self.review.save()
        except Conflict as conflict:
            self._ask(conflict)
            return
        except (InputError, OSError) as error:
            self.notify(f"not saved: {error}; ctrl+q quits, the journal keeps it", severity="error")
            return
        self.exit()

    def save_soon(self) -> None:
        """Save once no key follows."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(_SAVE_S, self._save)

    def _save(self) -> None:
        self._write(self.review.snapshot())

    @work(thread=True, exclusive=True, group="save")
    def _write(self, snapshot: Snapshot) -> None:
        try:
            self.review.write(snapshot)
        except Conflict as conflict:
            self.call_from_thread(self._ask, conflict)
        except (InputError, OSError) as error:
            self.call_from_thread(
                self.notify, f"not saved: {error}; the journal has it", severity="error"
            )
        self.call_from_thread(self.saved)

    def _ask(self, conflict: Conflict) -> None:
        """Ask what to do with a file that another program changed, unless already asking."""
        if self._timer is not None:
            self._timer.stop()
        if any(isinstance(screen, Choose) for screen in self.screen_stack):
            return

        def done(answer: str | None) -> None:
            if answer not in ("mine", "theirs"):
                return
            try:
                self.review.resolve(answer)  # type: ignore[arg-type]
            except (InputError, OSError) as error:
                self.notify(str(error), severity="error")
                return
            if self.review.refused:
                what = ", ".join(
                    f"{edit.what} (region {(edit.before or edit.after)[0]['id']})"
                    for edit in self.review.refused[:5]
                )
                self.notify(f"these no longer fit: {what}", severity="warning")
            self.resolved()

        choices = {
            "mine": "apply my edits to the changed file",
            "theirs": "discard my unsaved edits",
            "later": "decide later; nothing is saved until then",
        }
        self.push_screen(Choose(str(conflict), choices), done)
