"""EyeLink's .asc files (SR Research's edf2asc): fixation events, and which image was shown when.

Images are told by Data Viewer's messages: ``!V IMGLOAD`` says which picture was drawn, where and
when, ``!V TRIAL_VAR`` holds a trial's variables, of which one may be the image's name.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError
from ..readers.text import decoded, key
from .exports import Export, exports
from .rows import NOWHERE, Rows

_FORM = Export(name="EyeLink .asc, fixation events", marks=())
_AT_ONCE = 50  # ms between two pictures that were drawn as one display
_MISSING = (".", "MISSING_DATA")


@dataclass
class _Picture:
    """A picture that was drawn at some time (ms), or that was cleared (no name)."""

    time: float
    name: str = ""
    shown: tuple[float, ...] = NOWHERE
    centred: bool = False


@dataclass
class _Trial:
    fixations: list[tuple[int, str, float, float, float, float]] = field(default_factory=list)
    pictures: list[_Picture] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)


def read_asc(path: Path, image: str | None = None) -> Rows:
    """Read the fixation events of an EyeLink .asc file.

    Parameters
    ----------
    path : Path
        Its name without suffix is the subject.
    image : str, optional
        The trial variable that holds the image's name; by default the messages that draw a
        picture, else a variable that is called as images usually are.

    Raises
    ------
    InputError
        If it has no fixation events, does not say which image was shown, or is malformed.
    """
    text, encoding = decoded(path)
    trials, screen = _trials(path, text)
    rows = [one for trial in trials for one in trial.fixations]
    if not rows:
        samples = re.search(r"^\d+\s+[-\d.]+\s+[-\d.]+", text, re.MULTILINE)
        found = "raw samples, but no fixation events: edf2asc writes both" if samples else "no EFIX"
        raise InputError(f"{path}: EyeLink .asc: has {found}")
    drawn = image is None and any(one.name for trial in trials for one in trial.pictures)
    made, dropped = [], Counter()
    for trial in trials:
        name = "" if drawn else _variable(path, trial, image)
        for line, eye, start, duration, x, y in trial.fixations:
            picture = _Picture(0, name) if not drawn else _shown_at(trial, start)
            if picture is None:
                dropped["that began while no image was shown"] += 1
                continue
            made.append((line, eye, picture, duration, x, y))
    if image is None and not drawn and not any(one[2].name for one in made):
        raise InputError(
            f"{path}: EyeLink .asc: says no image: neither !V IMGLOAD nor a trial variable such as "
            "image (--columns image=NAME names one)"
        )
    how = "!V IMGLOAD" if drawn else f"trial variable {image or 'of the usual name'}"
    numbers = np.array([[one[k] for k in (3, 4, 5)] for one in made], dtype=np.float64)
    duration, x, y = numbers.reshape(-1, 3).T
    return Rows(
        form=f"{path}: {_FORM.name}",
        said=[f"read as {encoding}", f"image: {how}, subject: the file's name"],
        total=len(rows),
        export=_FORM,
        places=[(path, one[0]) for one in made],
        image=[one[2].name for one in made],
        subject=[path.stem] * len(made),
        eye=[one[1] for one in made],
        x=x,
        y=y,
        duration_ms=duration,
        shown=np.array([one[2].shown for one in made], dtype=np.float64).reshape(-1, 4),
        centred=np.array([one[2].centred for one in made], dtype=bool),
        screen=screen,
        dropped=dropped,
    )


def _trials(path: Path, text: str) -> tuple[list[_Trial], tuple[float, float] | None]:
    trials, screen = [_Trial()], None
    for number, line in enumerate(re.split("\r\n|\r|\n", text), start=1):
        words = line.split()
        if len(words) < 2:
            continue
        try:
            if words[0] == "EFIX":
                start, _, duration, x, y = (_number(word) for word in words[2:7])
                trials[-1].fixations.append((number, words[1], start, duration, x, y))
            elif words[0] == "MSG" and len(words) > 2:
                rest = words[2:]
                if re.fullmatch(r"-?\d+", rest[0]) and len(rest) > 1:  # an offset in ms
                    rest = rest[1:]
                if rest[0] in ("DISPLAY_COORDS", "GAZE_COORDS"):
                    screen = _screen(path, number, [_number(word) for word in rest[1:5]])
                elif rest[0] == "TRIALID":
                    trials.append(_Trial())
                elif rest[0] == "!V" and len(rest) > 1:
                    _draw(path, number, trials[-1], _number(words[1]), rest[1:], screen)
        except InputError:
            raise
        except ValueError as error:
            raise InputError(f"{path}: line {number}: {words[0]} is malformed") from error
    return trials, screen


def _number(word: str) -> float:
    return np.nan if word in _MISSING else float(word)


def _screen(path: Path, line: int, corners: list[float]) -> tuple[float, float]:
    left, top, right, bottom = corners
    if left or top or not (right > 0 and bottom > 0):
        raise InputError(f"{path}: line {line}: a screen that does not begin at 0, 0")
    return right + 1, bottom + 1


def _draw(
    path: Path,
    line: int,
    trial: _Trial,
    time: float,
    words: list[str],
    screen: tuple[float, float] | None,
) -> None:
    """Note what Data Viewer would draw, or a variable."""
    if words[0] == "TRIAL_VAR" and len(words) > 2:
        trial.variables[words[1]] = " ".join(words[2:])
    elif words[0] == "CLEAR":
        trial.pictures.append(_Picture(time))
    elif words[0] == "IMGLOAD" and len(words) > 2:
        count = 0
        while count < 4 and re.fullmatch(r"-?\d+(\.\d+)?", words[-1 - count]):
            count += 1
        sides = [float(word) for word in words[len(words) - count :]]
        name = " ".join(words[2 : len(words) - count])
        shown, centred = NOWHERE, False
        if words[1] == "FILL" and screen is not None:
            shown = (0.0, 0.0, *screen)
        elif words[1] in ("CENTER", "TOP_LEFT") and count in (2, 4):
            shown = tuple(sides) if count == 4 else (*sides, np.nan, np.nan)
            centred = words[1] == "CENTER"
        last = trial.pictures[-1] if trial.pictures else None
        if last and last.name and last.name != name and time - last.time < _AT_ONCE:
            raise InputError(
                f"{path}: line {line}: {last.name!r} and {name!r} were shown at once: "
                "a fixation's image is not known"
            )
        trial.pictures.append(_Picture(time, name, shown, centred))


def _shown_at(trial: _Trial, start: float) -> _Picture | None:
    """Return the picture on the screen when a fixation began."""
    before = [one for one in trial.pictures if one.time <= start]
    return before[-1] if before and before[-1].name else None


def _variable(path: Path, trial: _Trial, image: str | None) -> str:
    """Return the image's name as a trial's variables tell it, or "" if they do not."""
    if image is not None:
        return trial.variables.get(image, "")
    usual = {key(name) for name in exports()[0].image}
    found = {name: value for name, value in trial.variables.items() if key(name) in usual}
    if len(found) > 1:
        a, b = list(found)[:2]
        raise InputError(f"{path}: image may be {a!r} or {b!r}: --columns image=NAME says which")
    return next(iter(found.values()), "")
