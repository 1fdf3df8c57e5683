"""What a run reads and in which order, and the scorer beside the scoring it calls."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from counting import Counting
from PIL import Image

from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimulus
from salprobe.probe.networks.load import load_model
from salprobe.probe.scoring.batches import SHUFFLED, MaskPlan, Plan, make_plan
from salprobe.probe.scoring.loading import OFFER, load_batches
from salprobe.probe.scoring.nss import Targets, region_nss
from salprobe.probe.scoring.scorer import Scorer
from salprobe.probe.sources.description import Resize

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.fixture
def masks(small_world: Path) -> MaskSet:
    return MaskSet.read(small_world / "masks.json")


def plan_of(masks: MaskSet, root: Path, batch_size: int) -> Plan:
    assert masks.fixations is not None
    return make_plan(masks, root, masks.fixations, batch_size)


def test_a_plan_by_hand(masks: MaskSet, small_world: Path) -> None:
    content = masks.to_dict()
    content["categories"].append({"id": 13, "name": "unlabelled"})
    for number in (3, 7, 8):  # one of image 2's regions, both of image 4's
        content["annotations"][number - 1]["category_id"] = 13
    plan = plan_of(MaskSet.from_dict(content), small_world, 2)
    found = [
        [(item.stimulus.id, item.first_row, [one.id for one in item.regions]) for item in batch]
        for batch in plan.batches
    ]
    assert found == [
        [(1, 0, [1, 2]), (2, 2, [4])],
        [(3, 3, [5, 6]), (5, 5, [9, 10])],
        [(6, 7, [11, 12])],
    ]
    assert (plan.n_regions, plan.n_stimuli) == (9, 5)
    expected = pd.DataFrame(
        {
            "annotation_id": [1, 2, 4, 5, 6, 9, 10, 11, 12],
            "image_id": [1, 1, 2, 3, 3, 5, 5, 6, 6],
            "category": [
                *("person part", "text", "text", "person part", "text"),
                *("person part", "text", "person head", "text"),
            ],
        }
    )
    pd.testing.assert_frame_equal(plan.regions_table(), expected)
    assert len(plan_of(masks, small_world, 1).batches) == 6


def test_a_stimulus_is_loaded_with_its_regions_fixations(masks: MaskSet, small_world: Path) -> None:
    assert masks.fixations is not None
    content = masks.to_dict()
    for column in ("x", "y", "subject", "duration_ms", "image_id"):  # two on one pixel
        content["fixations"][column] += [content["fixations"][column][0]]
    masks = MaskSet.from_dict(content)
    assert masks.fixations is not None
    plan = plan_of(masks, small_world, 4)
    loaded = plan.load(plan.batches[0][0], Resize((30, 40)))
    assert loaded.item is plan.batches[0][0]
    picture = Image.open(small_world / "1.png").convert("RGB")
    expected = np.asarray(picture.resize((40, 30), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(loaded.rgb, expected)
    looked = masks.fixations.of(1)
    own = loaded.pixels[:2]
    for left, pixels, count in zip((4, 50), own, loaded.n_fixations, strict=True):
        inside = (looked.x >= left) & (looked.x < left + 40) & (looked.y >= 10) & (looked.y < 60)
        places = list(zip(looked.x[inside].tolist(), looked.y[inside].tolist(), strict=True))
        assert count == len(places)
        assert sorted(zip(*(one.tolist() for one in pixels), strict=True)) == sorted(set(places))


def test_a_stimulus_comes_with_regions_of_the_same_category_from_others(
    masks: MaskSet, small_world: Path
) -> None:
    content = masks.to_dict()
    for k, entry in enumerate(content["annotations"]):
        entry["category_id"] = 1 if k % 2 == 0 else 2 if k in (1, 5) else 3
    # Twice as large, so positions double.
    content["images"][1] |= {"width": 192, "height": 144}
    plan = plan_of(MaskSet.from_dict(content), small_world, 6)
    items = plan.batches[0]
    own = {
        region.id: distinct(*plan._pixels(item.stimulus, region))
        for item in items
        for region in item.regions
    }
    loaded = plan.load(items[0], Resize((30, 40)))
    assert len(loaded.pixels) == 2 + 2 * SHUFFLED
    heads = [item.regions[0] for item in items[1:]]
    candidates = {region.id: own[region.id] for region in heads}
    candidates[3] = {(x // 2, y // 2) for x, y in own[3]}
    drawn = [distinct(*pixels) for pixels in loaded.pixels[2 : 2 + SHUFFLED]]
    assert all(pixels in candidates.values() for pixels in drawn)
    assert len({frozenset(pixels) for pixels in drawn}) == SHUFFLED  # different regions
    # One other region has the second one's category; nothing fills the other places.
    lonely = [distinct(*pixels) for pixels in loaded.pixels[2 + SHUFFLED :]]
    assert lonely == [own[6], *[set()] * (SHUFFLED - 1)]
    again = plan_of(MaskSet.from_dict(content), small_world, 1).load(items[0], Resize((30, 40)))
    assert [distinct(*pixels) for pixels in again.pixels] == [
        distinct(*pixels) for pixels in loaded.pixels
    ]


def distinct(x: np.ndarray, y: np.ndarray) -> set[tuple[int, int]]:
    return set(zip(x.tolist(), y.tolist(), strict=True))


def test_a_plan_of_masks_takes_every_pixel_and_eight_images_at_a_time(gaze_world: Path) -> None:
    masks = MaskSet.read(gaze_world / "masks.json")
    plan = MaskPlan.of(masks, gaze_world)
    assert [len(batch) for batch in plan.batches] == [8, 8, 5]
    items = [item for batch in plan.batches for item in batch]
    assert [item.first_row for item in items] == list(range(0, 42, 2))
    assert [item.stimulus.id for item in items] == list(range(1, 22))
    loaded = plan.load(items[4], Resize((36, 48)))
    picture = Image.open(gaze_world / "5.png").convert("RGB")
    expected = np.asarray(picture.resize((48, 36), Image.Resampling.BILINEAR))
    np.testing.assert_array_equal(loaded.rgb, expected)
    assert loaded.n_fixations == [18 * 16, 95 * 71]
    left, top = (int(one) for one in items[4].regions[0].bbox[:2])
    x, y = loaded.pixels[0]
    assert (x.min(), x.max(), y.min(), y.max()) == (left, left + 17, top, top + 15)


@dataclass
class Numbered:
    """A stimulus of a batch, with its number."""

    stimulus: Stimulus


class Work:
    """Batches whose stimuli are their own numbers; some cannot be read."""

    def __init__(self, sizes: list[int], bad: tuple[int, ...] = ()) -> None:
        self.bad, self.asked = bad, []
        self.batches: list[list[Numbered]] = []
        number = 0
        for size in sizes:
            batch = []
            for _ in range(size):
                number += 1
                one = Stimulus(id=number, file_name=f"{number}.png", width=9, height=9)
                batch.append(Numbered(one))
            self.batches.append(batch)

    def load(self, item: Numbered, resize: Resize) -> tuple[int, Resize]:
        self.asked.append((item.stimulus.id, threading.current_thread()))
        if item.stimulus.id in self.bad:
            raise InputError(f"{item.stimulus.id}.png: broken")
        return item.stimulus.id, resize


@pytest.mark.parametrize("device", [CPU, GPU])
@pytest.mark.parametrize("workers", [None, 1, 3])
def test_batches_come_in_the_order_asked_for(workers: int | None, device: torch.device) -> None:
    work = Work([2] * 6 + [1])
    found = list(load_batches(work, [4, 0, 6, 1, 2, 3, 5], (3, 4), device, workers))
    assert [number for number, _, _ in found] == [4, 0, 6, 1, 2, 3, 5]
    ids = [[number for number, _ in loaded] for _, loaded, _ in found]
    assert ids == [[9, 10], [1, 2], [13], [3, 4], [5, 6], [7, 8], [11, 12]]
    assert {size for _, loaded, _ in found for _, size in loaded} == {(3, 4)}
    assert all(bad == [] for _, _, bad in found)
    assert threading.current_thread() not in {thread for _, thread in work.asked}
    if workers:
        assert len({thread for _, thread in work.asked}) <= workers
    assert list(load_batches(work, [], (3, 4), device, workers)) == []


def test_a_cpu_decodes_in_turns_with_its_network_and_beside_another() -> None:
    for device, turns in ((CPU, True), (GPU, False)):
        work = Work([2] * 12)
        seen = []
        for number, _, _ in load_batches(work, range(12), (3, 4), device, 2):
            before = len(work.asked)
            until = time.monotonic() + 0.05  # the network's time
            while len(work.asked) == before and time.monotonic() < until:
                time.sleep(0.001)
            seen.append((number, len(work.asked) - before))
        decoded_meanwhile = any(count for _, count in seen)
        assert decoded_meanwhile != turns
        assert [number for number, _ in seen] == list(range(12))


@pytest.mark.parametrize("device", [CPU, GPU])
def test_only_a_few_batches_are_read_ahead(device: torch.device) -> None:
    work = Work([1] * 40)
    batches = load_batches(work, list(range(40)), (3, 4), device, 1)
    next(batches)
    batches.close()  # what has not begun is not read any more
    assert len(work.asked) <= 5


def test_a_bad_stimulus_stops_or_is_left_out() -> None:
    work = Work([2, 2, 2], bad=(1, 4))
    heard = Counting()
    found = list(load_batches(work, [0, 1, 2], (3, 4), CPU, 2, heard))
    assert [[number for number, _ in loaded] for _, loaded, _ in found] == [[2], [3], [5, 6]]
    assert [bad for _, _, bad in found] == [
        [{"image_id": 1, "reason": "1.png: broken"}],
        [{"image_id": 4, "reason": "4.png: broken"}],
        [],
    ]
    assert heard.said == ["skipped: 1.png: broken", "skipped: 4.png: broken"]
    with pytest.raises(InputError, match=r"^1.png: broken$"):
        list(load_batches(work, [0], (3, 4), CPU, 2))
    with pytest.raises(InputError, match=r"^1.png: broken \(--skip-bad leaves it out\)$"):
        list(load_batches(work, [0], (3, 4), CPU, 2, advice=OFFER))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_scorer_scores_all_layers_side_by_side(
    masks: MaskSet, small_world: Path, precision
) -> None:
    model = load_model("nets:small", input_size=(36, 48))
    layers = model.layers()[:2]
    plan = plan_of(masks, small_world, 3)
    loaded = [plan.load(item, Resize((36, 48))) for item in plan.batches[0]]
    with Scorer(model, layers, CPU, precision) as scorer:
        assert scorer.score([]) == []
        found = scorer.score(loaded)
    assert [scores.shape for scores in found] == [(2 + 2 * SHUFFLED, 12)] * 3
    assert all(scores.dtype == np.float32 for scores in found)
    # A convolution and its ReLU, called by hand.
    network = model.network
    with torch.inference_mode():
        x = model.images(np.stack([one.rgb for one in loaded]), CPU)
        maps = [network.one[0](x), network.one(x)]
    targets = Targets([one.pixels for one in loaded], [(72, 96)] * 3)
    expected = torch.cat([region_nss(each, targets) for each in maps], dim=1)
    for scores, part in zip(found, expected.split(targets.counts()), strict=True):
        wanted = part.numpy()
        close = 1e-4 if precision == "fp32" else 0.1
        np.testing.assert_allclose(scores, wanted, atol=close)
        exact = np.nanmax(np.abs(scores - wanted)) < 1e-4
        assert exact == (precision == "fp32")  # bfloat16 rounds, and only when it is asked for


def test_the_scorer_names_the_unit_that_is_not_finite(masks: MaskSet, small_world: Path) -> None:
    model = load_model("nets:infinite", input_size=(36, 48))
    plan = plan_of(masks, small_world, 3)
    loaded = [plan.load(item, Resize((36, 48))) for item in plan.batches[0]]
    with Scorer(model, model.layers(), CPU, "fp32") as scorer:
        assert list(scorer.columns)[-1] == "units"  # with others before it
        with pytest.raises(InputError, match=r"^1\.png: unit 2 of units has activations"):
            scorer.score(loaded)


def test_too_little_memory_is_said(
    masks: MaskSet, small_world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model("nets:colours", input_size=(36, 48))
    plan = plan_of(masks, small_world, 3)
    loaded = [plan.load(item, Resize((36, 48))) for item in plan.batches[0]]

    def full(*arguments: object) -> None:
        raise torch.OutOfMemoryError

    with Scorer(model, model.layers(), CPU, "fp32") as scorer:
        monkeypatch.setattr(scorer, "_forward", full)
        with pytest.raises(InputError, match="cpu: out of memory with 3 images at a time"):
            scorer.score(loaded)
