"""Published data sets by name: their readers, and what their cards say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from ..catalogue.cards import card_of
from ..errors import InputError, reading
from ..progress import Progress
from ..stimuli import Dataset
from .cat2000 import read_cat2000
from .coco import read_coco_freeview, read_coco_search18
from .daemons import read_daemons
from .dut_omron import read_dut_omron
from .figrim import read_figrim
from .gathered import Gathered
from .koehler import read_koehler
from .mit import read_mit300, read_mit1003
from .nusef import read_nusef
from .pascal_s import read_pascal_s
from .toronto import read_toronto

READERS: dict[str, Callable[[Path, Progress], Gathered]] = {
    "mit1003": read_mit1003,
    "cat2000": read_cat2000,
    "toronto": read_toronto,
    "figrim": read_figrim,
    "pascal-s": read_pascal_s,
    "nusef": read_nusef,
    "coco-freeview": read_coco_freeview,
    "coco-search18": read_coco_search18,
    "daemons": read_daemons,
    "dut-omron": read_dut_omron,
    "koehler": read_koehler,
    "mit300": read_mit300,
}


def scale_of(name: str, given: float | None) -> float:
    """Return a data set's pixels per degree: its card's, else (or if not checked) the given ones.

    Raises
    ------
    InputError
        If they differ, or neither is known.
    """
    card = card_of(name)
    known = card.px_per_degree
    if given is not None and "px_per_degree" in card.unverified:
        known = None
    if known is not None and given not in (None, known):
        raise InputError(f"{name} has {known:g} pixels per degree; --px-per-degree does not apply")
    if known is None and given is None:
        raise InputError(f"{name}: pixels per degree unknown; give --px-per-degree (OSIE has 23.7)")
    scale = known or given
    assert scale is not None
    if not 0 < scale < float("inf"):
        raise InputError(f"--px-per-degree {scale:g}: expected more than 0")
    return scale


def load_published(
    name: str, root: Path, px_per_degree: float | None, progress: Progress
) -> Dataset:
    """Load a published data set from its folder; quirks are told to ``progress``.

    Raises
    ------
    InputError
        If files are missing or malformed, or the pixels per degree are not known.
    """
    scale = scale_of(name, px_per_degree)
    with reading(root):
        card = card_of(name)
        if px_per_degree is None and "px_per_degree" in card.unverified:
            progress.say(f"{name}: {scale:g} pixels per degree, not checked (--px-per-degree)")
        found = READERS[name](root, progress)
        fixations, dropped = found.fixations()
        if found.again:
            progress.say(
                f"{name}: {found.again} times a subject looked again at an image that it had "
                "seen: the order and time of these fixations go on from the earlier ones"
            )
        return Dataset(name, found.stimuli, fixations, scale, dropped=dropped)
