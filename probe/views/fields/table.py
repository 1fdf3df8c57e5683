"""Receptive fields: a table of shares."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from rich.console import Group
from rich.text import Text

from ....datasets.interval import Interval
from ....terminal.tables import plain_table
from ...fields.fields import Fields
from ...fields.shares import ESTIMATES, SHARES
from ...statistics.clusters import FDR
from ..cells import percent, with_interval

_MEASURES = {
    "centre-surround": "centre–surround",
    "reliability": "reliability",
    "opponent": "opponent",
    "suppression": "suppression",
}
_NOTES = (
    "centre–surround, opponent: shares of the units, with 95 % intervals over units; a unit counts "
    "by its strongest channel. reliability: mean correlation of fields from two halves of the "
    "data; what is not reliable is not found centre–surround.",
    "opponent: some gratings raise the response above that to grey, and some lower it. "
    "suppression: mean of 1 − R(full) / R(best diameter).",
)
_CHANGE_NOTE = (
    f"change: of the same units; of shares in percentage points. Bold: not 0, at a false discovery "
    f"rate of {FDR:.0%} over all layers and measures."
)


def render_fields(found: Fields) -> Group:
    """Return the terminal view of receptive fields: shares by layer, and their changes."""
    sizes = {name: (window.side, window.block) for name, window in found.windows.items()}
    return render_shares(found.shares, found.networks, sizes)


def render_shares(
    shares: pd.DataFrame, networks: Mapping[str, str], sizes: Mapping[str, tuple[int, int]]
) -> Group:
    """Return the terminal view of a table of `shares`.

    Parameters
    ----------
    shares : DataFrame
    networks : mapping of str
        What ``before`` is, and ``after`` if there are two.
    sizes : mapping of (int, int)
        By layer, the side of a field and of the blocks that it is described on, in pixels.
    """
    paired = "after" in networks
    columns = ("units", *networks, *(["change"] if paired else []))
    if not paired:
        columns = ("units", "share or mean")
    tables = []
    for layer, (side, block) in sizes.items():
        title = f"{layer}: fields of {side} pixels, in blocks of {block}"
        table = plain_table(title, "measure", columns)
        for row in shares[shares["layer"] == layer].to_dict("records"):
            name = _MEASURES[row["measure"]]
            name += f", {ESTIMATES[row['estimate']]}" if row["estimate"] else ""
            share = row["measure"] in SHARES
            cells = [_cell(Interval.of(row, one), share) for one in networks]
            if paired:
                cells.append(_change(Interval.of(row, "change"), row["change_q"], share))
            table.add_row(name, str(row["units"]), *cells)
        tables.append(table)
    head = Text("\n".join(f"{one}: {name}" for one, name in networks.items()), style="bold")
    notes = [*_NOTES, *([_CHANGE_NOTE] if paired else [])]
    return Group(head, *tables, *(Text(note, style="dim") for note in notes))


def _cell(interval: Interval, share: bool) -> Text:
    if not share:
        return with_interval(interval)
    text = percent(interval.value)
    if not np.isnan(interval.low):
        text.append(f" [{interval.low:.0%}, {interval.high:.0%}]", style="dim")
    return text


def _change(interval: Interval, q: float, share: bool) -> Text:
    if np.isnan(interval.value):
        return Text("–", style="dim")
    scale, places = (100, 0) if share else (1, 2)
    text = Text(f"{scale * interval.value:+.{places}f}", style="bold" if q < FDR else "")
    if not np.isnan(interval.low):
        text.append(f" ±{scale * interval.half_width:.{places}f}", style="dim")
    return text
