"""The widget that lists the images."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ...annotate.review.editing import Editor
from ...datasets.stimuli import Stimulus
from .texts import line


class Images(OptionList):
    """The images that match the search and the filter, with how much is labelled."""

    @property
    def numbers(self) -> list[int]:
        """Ids of the images."""
        return [int(str(option.id)) for option in self.options]

    @property
    def place(self) -> int:
        """Place of the highlighted image."""
        return self.highlighted or 0

    def fill(self, editor: Editor, images: Sequence[Stimulus]) -> None:
        """List other images."""
        self.clear_options()
        self.add_options([Option(line(editor, image), id=str(image.id)) for image in images])

    def renew(self, editor: Editor, image: Stimulus) -> None:
        """Show an image's new state, if it is listed."""
        if image.id in self.numbers:
            self.replace_option_prompt(str(image.id), line(editor, image))

    def go(self, place: int) -> int:
        """Highlight an image without a message; return its id."""
        with self.prevent(OptionList.OptionHighlighted):
            self.highlighted = place
        return self.at(place)

    def at(self, place: int) -> int:
        """Return the id of the image at a place."""
        return int(str(self.get_option_at_index(place).id))
