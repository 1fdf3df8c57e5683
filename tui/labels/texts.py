"""Texts of the label review: the header, a region's row, an image's line, the keys."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.columns import Columns
from rich.text import Text

from ...annotate.review.editing import Editor
from ...annotate.review.journal import Review
from ...datasets.categories import COLOURS, UNLABELLED
from ...datasets.masks.annotation import Annotation
from ...datasets.stimuli import Stimulus
from ...datasets.texts import printable
from ..frame.shades import legible, on

COLUMNS = ("region", "category", "fixations", "by", "")
"""What `row` returns."""

_BAR = 20


def head(review: Review, selected: Annotation | None, said: str, narrow: bool, low: bool) -> Text:
    """Return the header: how much is labelled and, if ``low``, the selected region's category.

    Parameters
    ----------
    review : Review
    selected : Annotation or None
    said : str
        What the latest edit did.
    narrow : bool
        Whether there is no room for a progress bar.
    low : bool
        Whether there is no room for the table of regions.
    """
    editor = review.editor
    regions = editor.regions.values()
    labelled = sum(editor.category(region) != UNLABELLED for region in regions)
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {printable(review.path.name)}  ", style="bold")
    if narrow or said:
        text.append(f"{labelled}/{len(regions)}")
    else:
        done = round(_BAR * labelled / max(1, len(regions)))
        text.append("━" * done, style="green").append("━" * (_BAR - done), style="dim")
        text.append(f" {labelled} of {len(regions)} labelled")
    if low and selected is not None:
        text.append(f"  {printable(editor.category(selected))}")
    text.append("" if review.saved else "  ● not saved yet", style="bold")
    return text.append(f"  {printable(said)}" if said else "", style="italic")


def row(
    editor: Editor, region: Annotation, second: Mapping[int, str], dark: bool
) -> tuple[Text, ...]:
    """Return a region's row on a dark or light ground: id, category, fixations, subjects, marks."""
    category, suggestion = editor.category(region), editor.suggestion(region)
    colour = legible(COLOURS.get(category, COLOURS[UNLABELLED]), dark)
    name = Text("■ ", style=colour) + Text(printable(category))
    if suggestion:
        sure = None if region.suggestion is None else region.suggestion.confidence
        confidence = "" if sure is None else f" {sure:.0%}"
        name += Text(f" {printable(suggestion)}?{confidence}", style="italic")
    if second.get(region.id, category) != category:
        name += Text(f"  second: {printable(second[region.id])}", style="bold")
    marks = ("unsure  " if region.unsure else "") + printable(region.note or "")
    looked = "" if region.n_fixations is None else str(region.n_fixations)
    by = "" if region.n_subjects is None else f"{region.n_subjects} subjects"
    return Text(str(region.id)), name, Text(looked, justify="right"), Text(by), Text(marks)


def line(editor: Editor, image: Stimulus) -> Text:
    """Return an image's line in the list."""
    regions = editor.of(image.id)
    labelled = sum(editor.category(region) != UNLABELLED for region in regions)
    mark = f"{labelled}/{len(regions)}"
    if labelled == len(regions):
        mark = "✓" if regions else "no regions"
    name = printable(Path(image.file_name).stem)
    return Text(f"{name} {mark}", no_wrap=True, overflow="ellipsis")


def hint(editor: Editor) -> str:
    """Return what helps at the first start with a file; empty once something was edited."""
    if editor.done:
        return ""
    if not editor.regions:
        return "no regions yet: c draws one; annotate cluster finds them in fixations"
    labelled = sum(editor.category(one) != UNLABELLED for one in editor.regions.values())
    if labelled == len(editor.regions):
        return "all is labelled: b shows it by category, ? all keys"
    return "" if labelled else "label the white region by a key below; ? shows all keys"


def legend(keys: Mapping[str, str], others: int = 0) -> Columns:
    """Return the keys of the categories, on the categories' colours; `Legend` reads the meta.

    Parameters
    ----------
    keys : mapping
        From keys to names of categories.
    others : int, optional
        Number of categories without a key of their own.
    """
    cells = []
    for key, name in keys.items():
        colour = COLOURS.get(name, COLOURS[UNLABELLED])
        style = on(*(int(colour[k : k + 2], 16) for k in (1, 3, 5)))
        cell = Text.assemble((f" {key} ", style), f" {printable(name)}")
        cell.apply_meta({"category": name})
        cells.append(cell)
    if others:
        cells.append(Text.assemble((" l ", "reverse"), f" {others} more"))
    return Columns(cells, padding=(0, 2, 0, 0))
