"""The pictures that a unit prefers: made by a method, and kept."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...datasets.errors import InputError, reading
from ...datasets.files import atomic_write, read_json
from ...datasets.progress import Progress
from ...datasets.stimuli import Stimuli
from ..fields.estimates import linear_field
from ..fields.windows import frozen
from ..networks.model import network_input
from .canvas import Canvas
from .maximising import Preferred, accentuate, maco, yosinski
from .recipes import METHODS, Maco, Yosinski
from .spectrum import Spectrum, spectrum_of
from .top import Peak


@dataclass(frozen=True, eq=False)
class Shown:
    """Pictures that a unit prefers, as they are kept.

    Attributes
    ----------
    pictures : list of uint8 array, shape (height, width, 4)
        RGB, and how much each pixel mattered.
    responses : list of float
        To the pictures, before the ReLU.
    """

    pictures: list[np.ndarray]
    responses: list[float]


class Maker:
    """Makes the pictures that a layer's units prefer.

    Parameters
    ----------
    canvas : Canvas
    stimuli : Stimuli
    seed : int
    """

    def __init__(self, canvas: Canvas, stimuli: Stimuli, seed: int) -> None:
        self.canvas, self._stimuli, self._seed = canvas, stimuli, seed

    @cached_property
    def _spectrum(self) -> Spectrum:
        return spectrum_of(self.canvas.model, self._stimuli, self.canvas.size, self._seed)

    def patches(self, peaks: Sequence[Peak], most: int) -> list[tuple[np.ndarray, Peak]]:
        """Return what a unit's highest cells see, of those that see nothing beyond the stimulus."""
        found = []
        for peak in peaks:
            rgb = network_input(self._stimuli.read(peak.stimulus), self.canvas.model.resize)
            patch = self.canvas.patch(peak, rgb)
            if patch is not None and len(found) < most:
                found.append((patch, peak))
        return found

    def linear(self, unit: int, peaks: Sequence[Peak]) -> np.ndarray | None:
        """Return a unit's linear receptive field at some cells; see `linear_field`."""
        patches = [patch for patch, _ in self.patches(peaks, len(peaks))]
        if self.canvas.window is None or not patches:
            return None
        return linear_field(self.canvas.window, unit, np.stack(patches))

    def make(self, method: str, unit: int, peaks: Sequence[Peak], progress: Progress) -> Preferred:
        """Make the pictures that a unit prefers.

        Parameters
        ----------
        method : str
        One of `METHODS`.
        unit : int
        peaks : sequence of Peak
            The unit's highest cells, the best first.
        progress : Progress

        Raises
        ------
        InputError
            If a stimulus is to be changed, and the fields of all cells reach beyond theirs; or the
            network has no gradient.
        """
        recipe, canvas = METHODS[method], self.canvas
        task = progress.task(f"{canvas.layer.name}, unit {unit}: {method}", recipe.steps)
        with task as advance, frozen(canvas.model), _differentiable(canvas.layer.name):
            if isinstance(recipe, Maco):
                return maco(canvas.respond(unit), self._spectrum, recipe, self._seed, advance)
            if isinstance(recipe, Yosinski):
                return yosinski(canvas.respond(unit), canvas, recipe, self._seed, advance)
            chosen = self.patches(peaks, recipe.stimuli)
            if not chosen:
                raise InputError(f"{method}: the fields of the best cells reach beyond the stimuli")
            cells = [(peak.row, peak.column) for _, peak in chosen]
            patches = np.stack([patch for patch, _ in chosen])
            pixels = torch.from_numpy(patches).permute(0, 3, 1, 2).float() / 255
            return accentuate(canvas.respond(unit, cells), pixels, recipe, self._seed, advance)


@contextmanager
def _differentiable(layer: str) -> Iterator[None]:
    """Say in one line that a network cannot be differentiated."""
    try:
        yield
    except RuntimeError as error:  # in anybody's code
        reason = str(error).partition("\n")[0]
        raise InputError(f"{layer}: has no gradient: {reason}") from error


def keep(path: Path, mark: dict[str, Any], method: str, make: Callable[[], Preferred]) -> Shown:
    """Return pictures that a unit prefers, from their files if they were made of the same.

    Parameters
    ----------
    path : Path
        Of the record; the pictures lie beside it.
    mark : dict
        What they depend on.
    method : str
        One of `METHODS`.
    make : callable
        Makes them.
    """
    recipe = json.loads(json.dumps(asdict(METHODS[method])))
    mark = {**mark, "method": method, "recipe": recipe}
    found = _kept(path, mark)
    if found is not None:
        return found
    made = make()
    rgba = torch.cat([made.pictures, made.opacity[:, None]], 1).permute(0, 2, 3, 1)
    pictures = list((rgba.clamp(0, 1) * 255).round().byte().numpy())
    files = {}
    for number, picture in enumerate(pictures, start=1):
        content = io.BytesIO()
        Image.fromarray(picture).save(content, "png")
        place = path.with_name(f"{path.stem}-{number}.png")
        with atomic_write(place) as file:
            file.write(content.getvalue())
        files[place.name] = sha256(content.getvalue()).hexdigest()
    responses = [round(float(one), 6) for one in made.responses]
    record = {"made_of": mark, "files": files, "responses": responses}
    with atomic_write(path) as file:
        file.write((json.dumps(record, indent=1, ensure_ascii=False) + "\n").encode())
    return Shown(pictures, responses)


def _kept(path: Path, mark: dict[str, Any]) -> Shown | None:
    """Return the pictures of a record, if all are as it says."""
    if not path.is_file():
        return None
    record = read_json(path)
    if not isinstance(record, dict) or record.get("made_of") != mark:
        return None
    files, responses = record.get("files"), record.get("responses")
    if not isinstance(files, dict) or not isinstance(responses, list):
        return None
    expected = [f"{path.stem}-{number}.png" for number in range(1, len(responses) + 1)]
    numbers = all(isinstance(one, int | float) for one in responses)
    if not responses or list(files) != expected or not numbers:
        return None
    pictures = []
    for name, known in files.items():
        place = path.with_name(name)
        content = place.read_bytes() if place.is_file() else b""
        if sha256(content).hexdigest() != known:
            return None
        with reading(place), Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            pictures.append(np.array(picture.convert("RGBA")))
    return Shown(pictures, [float(one) for one in responses])
