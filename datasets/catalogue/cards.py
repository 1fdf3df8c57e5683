"""What is known of each published data set, from its file in this folder."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib import resources
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, ValidationError

from ..errors import InputError

READS = {
    "seen": "yes",
    "built": "yes, not yet seen with the real files",
    "no": "not yet: as a folder of images with a table",
}
"""Whether `load_dataset` reads a data set, in words."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PublishedFile(_Strict):
    """A file of a data set, as published.

    Attributes
    ----------
    name : str
    url : str
        "" if it comes by a form, or its address has been lost.
    mirrors : tuple of str
        Other addresses of the same file.
    md5 : str
        As pysaliency publishes it; not a promise that the server still gives the same file. "" if
        none is published.
    sha256 : str
        "" until the file was seen.
    optional : bool
        Whether the file is fetched only where it is asked for: what no reader needs.
    """

    name: str
    url: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    mirrors: tuple[Annotated[str, Field(pattern=r"^https?://\S+$")], ...] = ()
    md5: Annotated[str, Field(pattern=r"^([0-9a-f]{32})?$")] = ""
    sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""
    optional: bool = False


class Card(_Strict):
    """A published data set.

    Attributes
    ----------
    name : str
        On the command line.
    title, citation : str
    licence : str
        "" where it is not known.
    task : str
    images, subjects : int, optional
    seconds : float, optional
        How long an image was shown.
    size : str
        Of the images, in pixels.
    px_per_degree : float, optional
        Pixels in one degree of visual angle.
    reads : str
        ``seen``: by a reader that was tested with the real files; ``built``: by one that was tested
        with files built after the published structure; ``no``: there is no reader.
    unverified : tuple of str
        Attributes that were not checked against the data or its page.
    lacks : tuple of str
        What its fixations do not tell: their ``order``, or the ``subject`` (who is the same on
        other images).
    quirks : tuple of str
        What a reader has to know.
    form : str
        Where the data set is asked for, if it is not public.
    files : tuple of PublishedFile
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    title: str
    citation: str
    licence: str = ""
    task: str
    images: PositiveInt | None = None
    subjects: PositiveInt | None = None
    seconds: PositiveFloat | None = None
    size: str = ""
    px_per_degree: PositiveFloat | None = None
    reads: Literal["seen", "built", "no"] = "no"
    unverified: tuple[
        Literal["images", "subjects", "seconds", "size", "px_per_degree", "licence"], ...
    ] = ()
    lacks: tuple[Literal["order", "subject"], ...] = ()
    quirks: tuple[str, ...] = ()
    form: Annotated[str, Field(pattern=r"^(https?://\S+)?$")] = ""
    files: tuple[PublishedFile, ...] = ()

    def text(self, attribute: str) -> str:
        """Return an attribute in words: "–" where unknown, "~" before what is unverified."""
        value = getattr(self, attribute)
        if value is None or value == "":
            return "–"
        words = f"{value:g}" if isinstance(value, float) else str(value)
        return f"~{words}" if attribute in self.unverified else words


@lru_cache(maxsize=1)
def cards() -> dict[str, Card]:
    """Return all cards by name, those that are read first.

    Raises
    ------
    InputError
        If a file of the catalogue is malformed.
    """
    found = []
    for path in resources.files(str(__package__)).iterdir():
        if path.name.endswith(".toml"):
            found.append(parse_card(path.name, path.read_text("utf-8")))
    order = list(READS)
    ordered = sorted(found, key=lambda card: (order.index(card.reads), card.name))
    return {card.name: card for card in ordered}


def parse_card(file: str, text: str) -> Card:
    """Return the card that a file of the catalogue holds.

    Raises
    ------
    InputError
        If it is malformed, or is not called as the data set.
    """
    try:
        card = Card.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{file}: not TOML: {error}") from error
    except ValidationError as error:
        problem = error.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise InputError(f"{file}: {place}: {problem['msg']}") from error
    if file != f"{card.name}.toml":
        raise InputError(f"{file}: holds {card.name!r}")
    return card


def card_of(name: str) -> Card:
    """Return the card of a data set.

    Raises
    ------
    InputError
        If the catalogue has none.
    """
    if name not in cards():
        raise InputError(f"no data set {name!r} in the catalogue: {', '.join(cards())}")
    return cards()[name]
