"""Models made of fixations: the centre bias, and people themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.special import ndtr

from ...datasets.errors import InputError
from ...datasets.fixations import Fixations
from ...datasets.stimuli import Dataset, Stimulus
from .metrics import blurred

_SIGMAS = 0.25 * 2 ** (np.arange(17) / 4)  # degrees: 0.25 to 4
_SHARES = 2.0 ** -np.arange(1, 11)  # of a uniform density: 1/2 to 1/1024
_MOST_IMAGES, _MOST_PLACES = 100, 300  # that the blur is fitted on


def viewed(dataset: Dataset) -> list[Stimulus]:
    """Return the stimuli that have fixations."""
    seen = set(np.unique(dataset.fixations.image_id).tolist())
    return [image for image in dataset.stimuli if image.id in seen]


class CentreBias:
    """Where people look on all other images: blurred fixations at relative positions.

    Called with a stimulus, it returns a density, float64 (height, width), nowhere 0: the
    fixations on all other images, blurred by one degree on a grid of 150×200 cells, with 0.1 %
    uniform.

    Raises
    ------
    InputError
        When called, if no other image has fixations.
    """

    _SHAPE = (150, 200)

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._all = sum((self._counts(image) for image in viewed(dataset)), np.zeros(self._SHAPE))

    def __call__(self, stimulus: Stimulus) -> np.ndarray:
        """Return the density for a stimulus."""
        import cv2

        counts = self._all - self._counts(stimulus)
        if not counts.any():
            raise InputError(f"centre: no image but {stimulus.file_name} has fixations")
        sigma = self._dataset.px_per_degree * np.array(self._SHAPE) / stimulus.size
        smooth = gaussian_filter(counts, sigma, mode="constant") + 1e-3 * counts.sum() / counts.size
        density = cv2.resize(smooth, (stimulus.width, stimulus.height))
        return density / density.sum()

    def _counts(self, stimulus: Stimulus) -> np.ndarray:
        looked = self._dataset.fixations.of(stimulus.id)
        counts = np.zeros(self._SHAPE)
        rows = looked.y * self._SHAPE[0] // stimulus.height
        np.add.at(counts, (rows, looked.x * self._SHAPE[1] // stimulus.width), 1)
        return counts


class Human:
    """People as a model of other people: fixations blurred, with a uniform share.

    Called with a stimulus, it returns the density of all fixations on it; `without_each` leaves
    every subject out in turn. The blur (0.25° to 4°) and the uniform share (1/1024 to 1/2) are
    those that make each subject's fixations likeliest, given the other subjects', on the other
    images, up to 100 of them. The uniform share changes KL and information gain only.

    Raises
    ------
    InputError
        If no two images have fixations of two subjects; when called, if the image has none.
    """

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        several = [image for image in viewed(dataset) if len(self._subjects(image)) > 1]
        if len(several) < 2:
            raise InputError(
                f"human: {len(several)} images have fixations of two subjects: expected 2 or more"
            )
        chosen = several[:: -(-len(several) // _MOST_IMAGES)]
        self._likelihoods = {
            image.id: _likelihoods(dataset.fixations.of(image.id), image, dataset.px_per_degree)
            for image in chosen
        }
        self._total = np.sum(list(self._likelihoods.values()), axis=0)

    def blur(self, stimulus: Stimulus) -> tuple[float, float]:
        """Return the blur in degrees and the uniform share, fitted on all other images."""
        others = self._total - self._likelihoods.get(stimulus.id, 0)
        sigma, share = np.unravel_index(np.argmax(others), others.shape)
        return float(_SIGMAS[sigma]), float(_SHARES[share])

    def __call__(self, stimulus: Stimulus) -> np.ndarray:
        """Return the density of all fixations on a stimulus, float64 (height, width)."""
        looked = self._dataset.fixations.of(stimulus.id)
        if not len(looked):
            raise InputError(f"human: {stimulus.file_name} has no fixations")
        sigma, share = self.blur(stimulus)
        return self._mixed(self._blurred(looked, stimulus, sigma), share)

    def without_each(self, stimulus: Stimulus) -> Iterator[tuple[np.ndarray, Fixations]]:
        """Yield, for every subject, the density of the others' fixations, and the subject's own.

        Raises
        ------
        InputError
            If the stimulus has fixations of fewer than two subjects.
        """
        looked = self._dataset.fixations.of(stimulus.id)
        subjects = self._subjects(stimulus)
        if len(subjects) < 2:
            raise InputError(
                f"human: {stimulus.file_name} has fixations of {len(subjects)} subjects: "
                "expected 2 or more"
            )
        sigma, share = self.blur(stimulus)
        everyone = self._blurred(looked, stimulus, sigma)
        for subject in subjects:
            own = looked.where(looked.subject == subject)
            others = everyone - self._blurred(own, stimulus, sigma)
            yield self._mixed(others.clip(min=0), share), own

    def _subjects(self, stimulus: Stimulus) -> Sequence:
        return np.unique(self._dataset.fixations.of(stimulus.id).subject).tolist()

    def _blurred(self, looked: Fixations, stimulus: Stimulus, sigma: float) -> np.ndarray:
        sigma *= self._dataset.px_per_degree
        return blurred(looked.x, looked.y, stimulus.size, sigma)

    @staticmethod
    def _mixed(blurred: np.ndarray, share: float) -> np.ndarray:
        return (1 - share) * blurred / blurred.sum() + share / blurred.size


def _likelihoods(looked: Fixations, stimulus: Stimulus, px_per_degree: float) -> np.ndarray:
    """Return the mean log likelihood of fixations, each given those of all other subjects.

    Returns
    -------
    float64 array, shape (blurs, shares)
        For each blur and uniform share; natural logarithm, per pixel.
    """
    judged = looked.where(np.arange(0, len(looked), -(-len(looked) // _MOST_PLACES)))
    other = judged.subject[:, None] != looked.subject
    square = (judged.x[:, None] - looked.x) ** 2 + (judged.y[:, None] - looked.y) ** 2
    result = np.empty((len(_SIGMAS), len(_SHARES)))
    for row, sigma in enumerate(_SIGMAS * px_per_degree):
        inside = _inside(looked.x, stimulus.width, sigma) * _inside(
            looked.y, stimulus.height, sigma
        )
        near = np.where(other, np.exp(-square / (2 * sigma**2)), 0).sum(1)
        density = near / (2 * np.pi * sigma**2) / (other @ inside)
        mixed = (1 - _SHARES) * density[:, None] + _SHARES / (stimulus.width * stimulus.height)
        result[row] = np.log(mixed).mean(0)
    return result


def _inside(place: np.ndarray, length: int, sigma: float) -> np.ndarray:
    """Return the part of a Gaussian at each place that lies inside an image's side."""
    return ndtr((length - 0.5 - place) / sigma) - ndtr((-0.5 - place) / sigma)
