"""Edits of the selected region, each a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ...annotate.review.editing import Edit, Editor
from ...annotate.review.journal import Review
from ...datasets.errors import InputError
from ..frame.dialogs import Ask
from .saving import Saving


class Editing(Saving):
    """An app that edits the selected region.

    Parameters
    ----------
    review : Review
    second : mapping
        From region ids to the categories that another annotator gave.
    """

    def __init__(self, review: Review, second: Mapping[int, str]) -> None:
        super().__init__(review)
        self.second = second
        self.region: int | None = None
        self.said = ""  # what the latest edit did, if it does not show

    @property
    def editor(self) -> Editor:
        """The current regions and their edits."""
        return self.review.editor

    def numbers(self) -> list[int]:
        """Return the ids of the image's regions."""
        raise NotImplementedError

    def changed(self) -> None:
        """Show what an edit changed."""
        raise NotImplementedError

    def find(self, image: int, region: int) -> None:
        """Show a region."""
        raise NotImplementedError

    def action_region(self, step: int) -> None:
        """Select the next region."""
        raise NotImplementedError

    def ahead(self) -> int | None:
        """Return the region to go to after an edit, if it is not the next one of the image."""
        raise NotImplementedError

    def action_label(self, category: str) -> None:
        """Give the selected region a category, and select the next."""
        if self.region is not None:
            self._do(lambda number: self.editor.label(number, category), after=1)

    def action_accept(self) -> None:
        """Accept the suggestion."""
        self._do(self.editor.accept, after=1)

    def action_take(self) -> None:
        """Take the second annotator's label."""
        if self.region is None or self.region not in self.second:
            self.notify("the second annotator has no label for this region", severity="warning")
            return
        category = self.second[self.region]
        self._do(lambda number: self.editor.label(number, category), after=1)

    def action_unsure(self) -> None:
        """Mark the region as unsure, or remove the mark."""
        if self.region is not None:
            unsure = self.editor.regions[self.region].unsure
            self._do(lambda number: self.editor.set(number, "unsure", not unsure))

    def action_split(self) -> None:
        """Cut the region between two groups of its fixations."""
        self._do(self.editor.split, said="split in two")

    def action_delete(self) -> None:
        """Delete the region."""
        self._do(self.editor.delete, said=f"region {self.region} is deleted")

    def action_merge(self) -> None:
        """Merge the region with the next one on the image."""
        others = [number for number in self.numbers() if number != self.region]
        if self.region is None or not others:
            self.notify("this image has no other region", severity="warning")
            return
        numbers = self.numbers()
        following = numbers[(numbers.index(self.region) + 1) % len(numbers)]
        said = f"regions {self.region} and {following} are merged"
        self._do(lambda number: self.editor.merge(number, following), said=said)

    def action_note(self) -> None:
        """Edit the region's note."""
        if self.region is None:
            return
        before = self.editor.regions[self.region].note or ""

        def done(text: str | None) -> None:
            if text is not None and text != before:
                self._do(lambda number: self.editor.set(number, "note", text))

        self.push_screen(Ask("Note", before), done)

    def action_undo(self) -> None:
        """Undo the latest edit, and show its region."""
        self._follow(self.review.undo, "undo")

    def action_redo(self) -> None:
        """Redo the edit undone last, and show its region."""
        self._follow(self.review.redo, "redo")

    def _do(self, make: Callable[[int], Edit], after: int = 0, said: str = "") -> None:
        """Make an edit to the selected region, say so, and move ``after`` regions on."""
        if self.region is None:
            self.notify("no region is selected", severity="warning")
            return
        ahead = self.ahead() if after else None
        try:
            self.review.do(make(self.region))
        except (InputError, OSError) as error:
            self.notify(str(error), severity="warning")
            return
        self.said = said
        self.changed()
        if ahead is not None:
            self.find(self.editor.regions[ahead].image_id, ahead)
            self.changed()
        elif after:
            self.action_region(after)

    def make(self, edit: Edit) -> None:
        """Make an edit that was prepared elsewhere, and select its first region."""
        numbers = [entry["id"] for entry in edit.after]
        image = edit.after[0]["image_id"]
        try:
            self.review.do(edit)
        except (InputError, OSError) as error:
            self.notify(str(error), severity="warning")
            return
        what = f"region {numbers[0]}" if len(numbers) == 1 else f"{len(numbers)} regions"
        self.said = f"{edit.what}: {what}"
        self.find(image, numbers[0])
        self.changed()

    def _follow(self, step: Callable[[], Edit | None], name: str) -> None:
        try:
            edit = step()
        except (InputError, OSError) as error:
            self.notify(str(error), severity="warning")
            return
        if edit is None:
            self.notify(f"nothing to {name}")
            return
        entry = (edit.before or edit.after)[0]
        self.said = f"{name}: {edit.what}, region {entry['id']}"
        self.find(entry["image_id"], entry["id"])
        self.changed()
