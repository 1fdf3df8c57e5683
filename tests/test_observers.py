"""People and the centre bias as models, and densities made of maps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.sources.osie import load_osie
from salprobe.datasets.stimuli import Dataset, Stimuli, Stimulus
from salprobe.probe.saliency import benchmark, observers
from salprobe.probe.saliency.densities import Fitted, is_density
from salprobe.probe.saliency.metrics import information_gain, nss
from salprobe.probe.saliency.observers import CentreBias, Human

SIZE = (60, 80)
SCALE = 4.0  # pixels per degree


def made(spread: float, images: int = 6, subjects: int = 5, seed: int = 0) -> Dataset:
    """Return images on which all subjects look around three places, with a known spread."""
    rng = np.random.default_rng(seed)
    rows, stimuli = [], []
    for number in range(1, images + 1):
        stimuli.append(Stimulus(id=number, file_name=f"{number}.png", width=80, height=60))
        places = rng.uniform((15, 15), (65, 45), (3, 2))
        for subject in range(subjects):
            for place in places.repeat(3, axis=0):
                x, y = np.rint(rng.normal(place, spread)).clip(0, (79, 59)).astype(int)
                rows.append((number, subject, x, y, np.nan))
    columns = (np.array(column) for column in zip(*rows, strict=True))
    return Dataset("made", Stimuli(Path(), tuple(stimuli)), Fixations(*columns), SCALE)


def test_each_subject_is_predicted_by_the_others() -> None:
    dataset = made(4.0)
    human, stimulus = Human(dataset), dataset.stimuli[2]
    sigma, share = human.blur(stimulus)
    looked = dataset.fixations.of(3)
    values = []
    for subject, (density, own) in zip(range(5), human.without_each(stimulus), strict=True):
        counts = np.zeros(SIZE)
        others = looked.where(looked.subject != subject)
        np.add.at(counts, (others.y, others.x), 1)
        blurred = gaussian_filter(counts, sigma * SCALE, mode="constant")
        expected = (1 - share) * blurred / blurred.sum() + share / blurred.size
        np.testing.assert_allclose(density, expected, atol=1e-12)
        assert set(own.subject.tolist()) == {subject} and len(own) == 9
        values.append(nss(expected, own.x, own.y))
    table = benchmark.score(dataset, {"human": human, "centre": CentreBias(dataset)})
    row = table[(table["model"] == "human") & (table["image_id"] == 3)].iloc[0]
    assert row["NSS"] == pytest.approx(np.mean(values))
    assert set(table["kind"]) == {"density"}
    centre = table[table["model"] == "centre"]
    assert centre["IG"].abs().max() < 1e-6  # it is the baseline
    assert is_density(human(stimulus)) and is_density(CentreBias(dataset)(stimulus))


def test_the_blur_has_the_highest_likelihood_on_other_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found = {}
    for spread in (2.0, 6.0):
        dataset = made(spread)
        human, stimulus = Human(dataset), dataset.stimuli[0]
        found[spread] = human.blur(stimulus)[0]
        # The slow way: densities on the whole grid, every subject left out, images 2 to 6.
        likelihoods = {}
        for sigma in (0.5, 1.0, 2.0):
            total = 0.0
            for other in dataset.stimuli[1:]:
                monkeypatch.setattr(human, "blur", lambda _, sigma=sigma: (sigma, 1 / 16))
                each = [np.log(p[o.y, o.x]).mean() for p, o in human.without_each(other)]
                total += np.mean(each)
            likelihoods[sigma] = total / 5
        row, column = [4, 8, 12], list(observers._SHARES).index(1 / 16)
        own = human._likelihoods[1]
        fast = ((human._total - own) / 5)[row, column]
        np.testing.assert_allclose(fast, list(likelihoods.values()), atol=0.02)
    assert found[2.0] < found[6.0]
    # Image 1 takes no part in its own blur, but in that of the others.
    human = Human(made(2.0))
    before = [human.blur(stimulus) for stimulus in dataset.stimuli[:2]]
    for table in (human._likelihoods[1], human._total):
        table[0, 0] += 1000
    after = [human.blur(stimulus) for stimulus in dataset.stimuli[:2]]
    assert after[0] == before[0] and after[1] == (0.25, 0.5) != before[1]


def test_too_few_people_or_images_are_refused() -> None:
    alone = made(3.0, subjects=1)
    with pytest.raises(InputError, match="human: 0 images have fixations of two subjects"):
        Human(alone)
    several = made(3.0)
    lonely = several.fixations.where(
        (several.fixations.image_id != 2) | (several.fixations.subject == 0)
    )
    mixed = Dataset("mixed", several.stimuli, lonely, SCALE)
    with pytest.raises(InputError, match=r"human: 2\.png has fixations of 1 subjects: expected 2"):
        list(Human(mixed).without_each(mixed.stimuli[1]))
    with pytest.raises(InputError, match=r"centre: no image but 1\.png has fixations"):
        CentreBias(made(3.0, images=1))(several.stimuli[0])


def test_a_map_becomes_the_density_that_people_follow() -> None:
    """Fixations drawn from p ∝ (0.02 + s)² · c: the fit is as good as p itself."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:60, :80]
    centre = np.exp(-((y - 30) ** 2 + (x - 40) ** 2) / (2 * 18**2))
    centre /= centre.sum()
    fitted, gains, flat = Fitted(SCALE), [], Fitted(SCALE)
    for _ in range(12):
        image = gaussian_filter(rng.random(SIZE), 4)
        image = (image - image.min()) / np.ptp(image)
        p = (0.02 + image) ** 2 * centre
        p /= p.sum()
        looked = rng.choice(p.size, 300, p=p.ravel())
        places = looked % 80, looked // 80
        fitted.add(5 * image - 3, centre, *places)  # affine changes alter nothing
        flat.add(np.ones(SIZE), centre, *places)
        gains.append(information_gain(p, centre, *places))
    found = fitted.gains()
    assert found.mean() == pytest.approx(np.mean(gains), abs=0.02)
    assert np.mean(gains) > 0.1
    assert abs(flat.gains()).max() < 0.05  # a constant map adds nothing to the centre bias


def test_an_image_takes_no_part_in_its_own_fit() -> None:
    """Image 1's people look where the map is low, all others' where it is high."""
    ramp = np.tile(np.arange(80.0), (60, 1))
    flat = np.full(SIZE, 1 / 4800)
    fitted = Fitted(SCALE)
    for number in range(6):
        x = np.arange(0, 12) if number == 0 else np.arange(68, 80)
        fitted.add(ramp, flat, x, np.arange(12) * 4)
    gains = fitted.gains()
    assert gains[0] < -2 and (gains[1:] > 0.5).all()


def test_densities_are_known_by_their_sum() -> None:
    assert is_density(np.full((4, 5), 1 / 20)) and not is_density(np.ones((4, 5)))
    assert not is_density(np.array([[1.5, -0.5]]))


def test_people_on_photographs(osie_root: Path) -> None:
    dataset = load_osie(osie_root)
    human = Human(dataset)
    assert human.blur(dataset.stimuli[0]) == (pytest.approx(0.71, abs=0.01), 1 / 16)
    table = benchmark.score(dataset, {"human": human, "centre": CentreBias(dataset)}, count=4)
    means = table.groupby("model")[["NSS", "IG", "sAUC"]].mean()
    assert means.loc["human", "NSS"] > 3 > 1.5 > means.loc["centre", "NSS"] > 0.5
    assert means.loc["human", "IG"] > 1.5 and means.loc["centre", "sAUC"] < 0.6


@pytest.mark.parametrize("size", [(300, 200), (200, 400)])
def test_the_centre_bias_is_blurred_by_one_degree_both_ways(size: tuple[int, int]) -> None:
    height, width = size
    stimuli = tuple(
        Stimulus(id=k, file_name=f"{k}.png", width=width, height=height) for k in (1, 2)
    )
    looked = Fixations(*np.array([[1, 2], [1, 1], [width // 2] * 2, [height // 2] * 2, [9, 9]]))
    dataset = Dataset("one", Stimuli(Path(), stimuli), looked, 12.0)
    density = CentreBias(dataset)(stimuli[0])
    density = density - density.min()
    y, x = np.mgrid[:height, :width]
    for place in (y, x):
        mean = (density * place).sum() / density.sum()
        sd = np.sqrt((density * (place - mean) ** 2).sum() / density.sum())
        assert sd == pytest.approx(12, rel=0.03)
