"""From fixations as a file has them to fixations on stimuli; what has no place is counted."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..errors import InputError
from ..fixations import Fixations, pixel
from ..stimuli import Stimuli
from .names import Names, unit_said
from .placement import Placement, to_image
from .rows import Rows
from .settings import TableFormat
from .strict import check_pixels, check_units, is_whole
from .tables import PLAIN_NAMES
from .understood import Gaze

_LEFT = ("l", "left", "left eye", "left_eye", "21")  # 21 and 22 are ioHub's
_RIGHT = ("r", "right", "right eye", "right_eye", "22")


def placed(
    rows: Rows, stimuli: Stimuli, px_per_degree: float | None, table_format: TableFormat
) -> Gaze:
    """Return rows as fixations on stimuli; what has no place is dropped and counted."""
    found = len(rows) + sum(rows.dropped.values())
    place = rows.form
    dropped = Counter(rows.dropped)
    rows = _one_eye(rows, table_format, dropped)
    rows, index, names = on_stimuli(rows, stimuli, dropped)
    subject = _subjects(rows)
    height, width = np.array([stimulus.size for stimulus in stimuli])[index].reshape(-1, 2).T
    x, y, said, scale = _in_image(rows, width, height, px_per_degree, table_format)
    with np.errstate(invalid="ignore"):
        inside = (x >= -0.5) & (x < width - 0.5) & (y >= -0.5) & (y < height - 0.5)
    somewhere = ~np.isnan(x + y)
    outside = int((somewhere & ~inside).sum())
    if outside > somewhere.sum() / 2:
        raise InputError(
            f"{place}: {outside} of {somewhere.sum()} fixations are outside their image: --screen, "
            "--image-at and --image-scale say where it was shown"
        )
    counts = {"without a position": int((~somewhere).sum()), "outside their image": outside}
    dropped.update({reason: count for reason, count in counts.items() if count})
    if not inside.any():
        raise InputError(f"{place}: no fixation is left: {_words(dropped)}")
    duration = np.where(rows.duration_ms < 0, np.nan, rows.duration_ms)
    whole = all(is_whole(name) for name in set(subject.tolist()))
    fixations = Fixations(
        image_id=np.array([stimulus.id for stimulus in stimuli])[index],
        subject=subject.astype(np.int64) if whole else subject,
        x=pixel(np.where(inside, x, 0)),
        y=pixel(np.where(inside, y, 0)),
        duration_ms=duration,
        order=rows.order,
        start_ms=rows.start_ms,
    ).leave_out(~inside)
    said = (*rows.said, *said, *names.said())
    return Gaze(fixations, place, said, rows.total, found, dict(dropped), scale, foreign=True)


def _words(dropped: Counter[str]) -> str:
    return "; ".join(f"{count} {reason}" for reason, count in dropped.items())


def _one_eye(rows: Rows, table_format: TableFormat, dropped: Counter[str]) -> Rows:
    """Leave out the other eye's fixations of subjects of whom both eyes were recorded."""
    eyes = [_side(eye) for eye in rows.eye]
    seen: dict[str, set[str]] = {}
    for subject, eye in zip(rows.subject, eyes, strict=True):
        seen.setdefault(subject, set()).add(eye)
    both = {subject for subject, found in seen.items() if {"left", "right"} <= found}
    if not both:
        return rows
    if table_format.eye is None:
        who = min(both)
        raise InputError(f"{rows.form}: both eyes of subject {who!r:.40}: --eye left or right")
    other = {"left": "right", "right": "left"}[table_format.eye]
    keep = np.array(
        [s not in both or eye != other for s, eye in zip(rows.subject, eyes, strict=True)]
    )
    dropped["of the other eye"] += int((~keep).sum())
    return rows.where(keep)


def _side(eye: str) -> str:
    """Return left, right or "" for how programs write which eye it was."""
    word = eye.casefold()
    return "left" if word in _LEFT else "right" if word in _RIGHT else ""


def on_stimuli(
    rows: Rows, stimuli: Stimuli, dropped: Counter[str]
) -> tuple[Rows, np.ndarray, Names]:
    """Return the rows on stimuli, and the stimulus of each as an index.

    Raises
    ------
    InputError
        If there are none, or a name may mean two stimuli.
    """
    names, places = Names(stimuli), {}
    for image, (path, line) in zip(rows.image, rows.places, strict=True):
        if image and image not in places:
            places[image] = f"{path}: line {line}: image {image!r:.80}"
    which = names.all(places.items())
    index = np.array([-1 if not image else _or_none(which[image]) for image in rows.image])
    index = index.astype(np.intp)
    missing = Counter(i for i, k in zip(rows.image, index, strict=True) if i and k < 0)
    if none := rows.image.count(""):
        dropped["without an image"] += none
    if missing:
        shown = ", ".join(name for name, _ in missing.most_common(3))
        more = ", …" if len(missing) > 3 else ""
        reason = f"not on one of the images in {stimuli.root}: {shown}{more}"
        dropped[reason] += missing.total()
    if not (index >= 0).any():
        raise InputError(f"{rows.form}: has none of the {len(stimuli)} images: {_words(dropped)}")
    return rows.where(index >= 0), index[index >= 0], names


def _or_none(index: int | None) -> int:
    return -1 if index is None else index


def _subjects(rows: Rows) -> np.ndarray:
    """Return who looked; two spellings of one number are refused."""
    known: dict[str, str] = {}
    for subject, (path, line) in zip(rows.subject, rows.places, strict=True):
        if not subject or subject in (".", "-"):
            raise InputError(f"{path}: line {line}: no subject")
        other = known.setdefault(subject.lstrip("0") or "0", subject)
        if other != subject:
            raise InputError(
                f"{path}: line {line}: subjects {other!r:.40} and {subject!r:.40} differ by "
                "leading zeros: expected one spelling"
            )
    return np.array(rows.subject, dtype=str)


def _in_image(
    rows: Rows,
    width: np.ndarray,
    height: np.ndarray,
    px_per_degree: float | None,
    table_format: TableFormat,
) -> tuple[np.ndarray, np.ndarray, list[str], float | None]:
    """Return positions in pixels of the images, how they were made, and pixels per degree."""
    origin, placement = rows.export.origin, table_format.placement
    x, y = rows.x, rows.y
    check_unit(rows, table_format)
    if table_format.unit == "deg":
        if placement.given:
            raise InputError(f"{rows.form}: degrees from the image's centre take no --screen")
        if px_per_degree is None:
            raise InputError(f"{rows.form}: fixations in degrees need --px-per-degree")
        up = -1 if origin != "upper left" else 1
        x, y = x * px_per_degree + (width - 1) / 2, up * y * px_per_degree + (height - 1) / 2
        return x, y, ["positions: degrees from the image's centre"], None
    unit = unit_of(rows, placement)
    on_image = unit in ("image pixels", "fractions of the image")
    if unit == "fractions of the screen" and placement.scale == "fill":
        unit, on_image, placement = "fractions of the image", True, Placement()
    if on_image:
        if placement.given:
            raise InputError(f"{rows.form}: positions are on the images: no --screen is needed")
        if unit == "fractions of the image":
            x, y = x * width - 0.5, (1 - y if origin == "lower left" else y) * height - 0.5
        return x, y, [f"positions: {unit}, from the {origin}"], None
    shown, known, asked = shown_on(rows, width, height, placement)
    screen = asked.screen
    if unit == "fractions of the screen":
        if screen is None:
            raise InputError(f"{rows.form}: positions are fractions of the screen: --screen WxH")
        x, y = x * screen[0] - 0.5, y * screen[1] - 0.5
    elif origin != "upper left":
        if screen is None and not asked.at == "centre":
            raise InputError(f"{rows.form}: positions are from the screen's {origin}: --screen WxH")
        side = screen or (0.0, 0.0)
        x = x + (side[0] / 2 if origin == "centre" else 0) - (0.5 if origin == "centre" else 0)
        y = side[1] / (2 if origin == "centre" else 1) - y - (0.5 if origin == "centre" else 1)
    said = [f"positions: {unit}, from the {origin}"]
    if known.any():
        said.append("images where the file says that they were shown")
    if not known.all():
        said.append(str(asked))
    x = to_image(x, shown[:, 0], shown[:, 2], width)
    y = to_image(y, shown[:, 1], shown[:, 3], height)
    return x, y, said, _scale(rows, shown[:, 2] / width)


def unit_of(rows: Rows, placement: Placement) -> str:
    """Return the unit of positions: those of a plain table are the screen's if one is given."""
    plain = rows.export.name in PLAIN_NAMES and placement.given
    return "screen pixels" if plain else rows.export.unit


def shown_on(
    rows: Rows, width: np.ndarray, height: np.ndarray, placement: Placement
) -> tuple[np.ndarray, np.ndarray, Placement]:
    """Return where images were on the screen, of which the file says it, and what else is taken.

    Parameters
    ----------
    rows : Rows
    width, height : arrays, shape (n,)
        Of each row's image in its own pixels.
    placement : Placement

    Returns
    -------
    shown : float array, shape (n, 4)
        Left, top, width and height in screen pixels.
    known : bool array, shape (n,)
    asked : Placement

    Raises
    ------
    InputError
        If neither says.
    """
    told = placement.given and (placement.at is not None or placement.scale is not None)
    asked = placement.on(rows.screen)
    known = ~np.isnan(rows.shown[:, 0]) & (not told)
    shown = np.array(rows.shown)
    if not known.all():
        try:
            origin = rows.export.origin
            shown[~known] = _rectangles(asked, origin, width[~known], height[~known])
        except InputError as error:
            raise InputError(f"{rows.form}: {error}") from error
    for k, own in ((2, width), (3, height)):
        missing = np.isnan(shown[:, k])
        shown[missing, k] = own[missing]
    middle = known & rows.centred
    shown[middle, :2] -= shown[middle, 2:] / 2
    return shown, known, asked


def _rectangles(
    placement: Placement, origin: str, width: np.ndarray, height: np.ndarray
) -> np.ndarray:
    """Return where images were; around 0, 0 if they were centred on a screen of unknown size."""
    plain = placement.scale not in ("fit", "fill")
    if origin == "centre" and placement.screen is None and placement.at == "centre" and plain:
        found = Placement(at=(0, 0), scale=placement.scale).rectangles(width, height)
        found[:, :2] -= found[:, 2:] / 2
        return found
    return placement.rectangles(width, height)


def check_unit(rows: Rows, table_format: TableFormat) -> None:
    """Refuse a unit that contradicts the positions or the names of their columns.

    Raises
    ------
    InputError
    """
    if rows.export.unit.endswith("pixels") and table_format.unit == "px":
        check_pixels(rows.form, rows.x, rows.y)
    if not rows.columns:
        return
    check_units(rows.places[0][0], *rows.columns)
    said, column = unit_said(rows.columns[0]), rows.columns[0]
    if said == "degrees" and table_format.unit != "deg":
        raise InputError(f"{rows.form}: {column!r} is in degrees: --unit deg")
    fractions = rows.export.unit.startswith("fractions")
    if table_format.unit == "deg" and (said not in (None, "degrees") or fractions):
        raise InputError(f"{rows.form}: {column!r} is in {said or rows.export.unit}, not degrees")


def _scale(rows: Rows, shown: np.ndarray) -> float | None:
    """Return the images' pixels per degree, where the file tells the screen's."""
    if rows.screen_px_per_degree is None:
        return None
    if np.ptp(shown) > 0.01 * shown.mean():
        raise InputError(
            f"{rows.form}: images were shown at different scales: --px-per-degree is needed"
        )
    return rows.screen_px_per_degree / float(shown.mean())
