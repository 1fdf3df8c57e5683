"""Slices of the fixations: `probe run --by`."""

import hashlib
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from conftest import world
from PIL import Image
from scipy.stats import t as student
from simulated import slices_hold, true_means
from test_resume import assert_same

from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.masks.regions import inside
from salprobe.datasets.stimuli import Stimulus
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.runs import probing
from salprobe.probe.runs.merging import merge_runs
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.scoring.slices import Slicing, looks_of
from salprobe.probe.statistics.cross_fit import cross_fit
from salprobe.probe.statistics.selectivity import groups
from salprobe.probe.statistics.slices import summarise_shares
from salprobe.probe.statistics.two_way import Influence, TwoWay
from salprobe.probe.views.slices.picture import draw_slices
from salprobe.probe.views.slices.table import render_slices
from salprobe.terminal.console import TextConsole

TESTS = Path(__file__).parent
BY = "order:1,2,3+"


@pytest.fixture(autouse=True)
def nets_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(TESTS)


@pytest.fixture(scope="module")
def paths_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures with two regions each; six subjects look one to five times at each."""
    folder, rng = tmp_path_factory.mktemp("paths"), np.random.default_rng(5)
    content = world(folder, rng, n_images=12)
    gaze: dict[str, list] = {name: [] for name in content["fixations"]}
    for image in content["images"]:
        for subject in range(6):
            for _ in range(rng.integers(1, 6)):
                gaze["image_id"].append(image["id"])
                gaze["subject"].append(subject)
                gaze["x"].append(int(rng.integers(0, 96)))
                gaze["y"].append(int(rng.integers(5, 66)))
                gaze["duration_ms"].append(int(rng.integers(100, 400)))
    MaskSet.from_dict({**content, "fixations": gaze}).write(folder / "masks.json")
    return folder


def colours(paths_world: Path, out: Path, by: str | None = BY, **options) -> Run:
    return probe(
        options.pop("masks", paths_world / "masks.json"),
        model=Backbone("nets:colours", input_size=(36, 48)),
        layers=["units"],
        root=options.pop("root", paths_world),
        out=out,
        by=by,
        execution=Execution(device="cpu", batch_size=4),
        **options,
    )


@pytest.fixture(scope="module")
def sliced(paths_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(TESTS)
        return colours(paths_world, tmp_path_factory.mktemp("runs") / "sliced")


GAZE = Fixations.from_columns(
    {
        "image_id": [1] * 6 + [2],
        "subject": ["a", "a", "a", "b", "b", "b", "a"],
        "x": [1, 2, 3, 4, 5, 6, 7],
        "y": [0] * 7,
        "duration_ms": [100, 400, 50, 500, 1, 9, 30],
    }
)


@pytest.mark.parametrize(
    ("text", "slices"),
    [
        ("order:1,2,3+", [0, 1, 2, 0, 1, 2, 0]),
        ("order:2-3", [-1, 0, 0, -1, 0, 0, -1]),
        ("order:2+,1", [1, 0, 0, 1, 0, 0, 1]),
        (
            "time:0-100,100-500",
            [0, 1, -1, 0, -1, -1, 0],
        ),  # a begins at 0, 100, 500; b at 0, 500, 501
        ("time:500+", [-1, -1, 0, -1, 0, 0, -1]),
    ],
)
def test_fixations_are_sliced_by_order_and_time(text: str, slices: list[int]) -> None:
    assert Slicing.parse(text).of(GAZE).tolist() == slices


def test_fixations_are_sliced_by_groups_of_subjects(tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("subject,age,group\nb,7,patients\nc,8,controls\nz,1,controls\n")
    slicing = Slicing.parse(f"subjects:{table}")
    assert slicing.names == ("patients", "controls")
    assert slicing.of(GAZE).tolist() == [-1, -1, -1, 0, 0, 0, -1]
    with pytest.raises(InputError, match="no fixation is in slice 'controls'"):
        slicing.check(GAZE, None)
    table.write_text("subject,group\nb,patients\nc,patients\n")
    said = Slicing.parse(f"subjects:{table}").check(GAZE, None)
    assert said == [
        "subjects in no group, left out: a",
        "subjects of the groups without a fixation: c",
        "4 of 7 fixations are in no slice",
    ]


def test_subjects_in_no_group_are_all_counted(tmp_path: Path) -> None:
    table, n = tmp_path / "groups.csv", 15
    table.write_text("subject,group\n1,a\n")
    zeros = np.zeros(n, dtype=np.int64)
    gaze = Fixations(zeros, np.arange(1, n + 1), zeros, zeros, zeros.astype(float))
    said = Slicing.parse(f"subjects:{table}").check(gaze, None)
    names = "2, 3, 4, 5, 6, 7, 8, 9, 10, 11"
    assert said[0] == f"subjects in no group, left out: {names} and 4 more"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("order", "expected order:1,2,3-5,6[+], time:0-500"),
        ("age:1", "expected order:1"),
        ("order:", "expected order:1"),
        ("order:0", "'0' holds no fixation"),
        ("order:5-3", "'5-3' holds no fixation"),
        ("order:1-3,3+", "1-3 and 3[+] overlap"),
        ("order:1,1", "1 and 1 overlap"),
        ("order:1,,2", "'': expected 1, 3-5 or 6[+]"),
        ("order:١", "expected 1, 3-5"),
        ("time:500", "'500': expected 0-500 or 1500[+]"),
        ("time:5-5", "'5-5' holds no fixation"),
        ("time:-5-5", "'-5-5': expected"),
        (f"order:{','.join(map(str, range(1, 22)))}", "21 slices, expected at most 20"),
        ("subjects:nowhere.csv", "nowhere.csv: no such file"),
    ],
)
def test_what_tells_no_slices_is_refused(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        Slicing.parse(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("subject\na\n", "no column 'group'"),
        ("subject,group\na,x\na,y\n", "subject 'a' occurs twice"),
        ("subject,group\na,\n", "expected a subject and its group"),
        ("subject,group\n", "expected a subject and its group"),
        (f"subject,group\na,{'x' * 101}\n", "more than 100 characters"),
    ],
)
def test_a_malformed_table_of_groups_is_refused(content: str, words: str, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text(content)
    with pytest.raises(InputError, match=words):
        Slicing.parse(f"subjects:{table}")


@pytest.mark.parametrize(
    ("text", "dataset", "words"),
    [
        ("order:1", "salicon", "--by order: SALICON tells no order of fixations"),
        ("time:0-9", "toronto", "--by time: Toronto tells no order"),
        ("order:9", None, "no fixation is in slice '9'"),
    ],
)
def test_a_source_without_what_is_asked_for_is_refused(
    text: str, dataset: str | None, words: str
) -> None:
    with pytest.raises(InputError, match=words):
        Slicing.parse(text).check(GAZE, dataset)


def test_unknown_times_are_refused() -> None:
    gaze = Fixations.from_columns({**GAZE.to_columns(), "duration_ms": [100, None, *[1] * 5]})
    with pytest.raises(InputError, match="1 of 7 fixations have no time"):
        Slicing.parse("time:0-500").check(gaze, None)
    timed = Fixations.from_columns({**gaze.to_columns(), "start_ms": list(range(7))})
    assert Slicing.parse("time:0-3,3+").check(timed, None) == []
    assert Slicing.parse("order:1,2+").check(gaze, None) == []


def test_looks_by_hand() -> None:
    left = np.array([True, True, False, True, False, False, False])
    gaze = GAZE.where(np.arange(7) < 6)
    found = looks_of(Slicing.parse("order:1,2"), gaze, [left[:6], ~left[:6]])
    assert found.n_fixations == [2, 1, 0, 1]
    assert [x.tolist() for x, _ in found.slices] == [[1, 4], [2], [], [5]]
    assert [x.tolist() for x, _ in found.looks] == [[1], [4], [2], [5]]
    assert (found.region, found.slice) == ([0, 0, 0, 1], [0, 0, 1, 1])
    assert found.subject == ["a", "b", "a", "b"]


def reference(image: Stimulus, folder: Path) -> np.ndarray:
    """Return the three colours' standardised maps of a picture, float64 (3, height, width)."""
    mean = np.array([0.485, 0.456, 0.406])[:, None, None]
    sd = np.array([0.229, 0.224, 0.225])[:, None, None]
    with Image.open(folder / image.file_name) as picture:
        small = np.asarray(picture.resize((48, 36), Image.Resampling.BILINEAR))
    pixels = (small.transpose(2, 0, 1) / 255 - mean) / sd
    pooled = torch.from_numpy(pixels.reshape(3, 18, 2, 24, 2).mean((2, 4)))[None]
    resized = torch.nn.functional.interpolate(
        pooled, (image.height, image.width), mode="bilinear", align_corners=False
    )[0].numpy()
    return (resized - resized.mean((1, 2), keepdims=True)) / resized.std((1, 2), keepdims=True)


def test_scores_equal_resizing_every_map(sliced: Run, paths_world: Path) -> None:
    masks = MaskSet.read(paths_world / "masks.json")
    assert masks.fixations is not None
    slices, looks = (pd.read_parquet(sliced.folder / f"{n}.parquet") for n in ("slices", "looks"))
    arrays = {name: np.load(sliced.folder / f"{name}.npy") for name in ("slices", "looks")}
    assert [array.dtype for array in arrays.values()] == [np.float32, np.float16]
    assert len(slices) == 24 * 3 == len(arrays["slices"])
    seen = 0
    for annotation in masks.annotations:
        image = masks.image(annotation.image_id)
        maps, gaze = reference(image, paths_world), masks.fixations.of(image.id)
        within = inside(annotation, image, gaze)
        order = np.array(
            [1 + (gaze.subject[:k] == gaze.subject[k]).sum() for k in range(len(gaze))]
        )
        for name, low, high in (("1", 1, 1), ("2", 2, 2), ("3+", 3, 99)):
            rows = within & (order >= low) & (order <= high)
            row = slices.index[
                (slices["annotation_id"] == annotation.id) & (slices["slice"] == name)
            ]
            assert slices["n_fixations"][row].tolist() == [rows.sum()]
            pixels = sorted(set(zip(gaze.y[rows], gaze.x[rows], strict=True)))
            expected = [np.mean([one[p] for p in pixels]) if pixels else np.nan for one in maps]
            np.testing.assert_allclose(arrays["slices"][row[0], :3], expected, atol=1e-5)
            for subject in set(gaze.subject[rows].tolist()):
                own = rows & (gaze.subject == subject)
                place = looks.index[
                    (looks["annotation_id"] == annotation.id)
                    & (looks["slice"] == name)
                    & (looks["subject"] == str(subject))
                ]
                pixels = set(zip(gaze.y[own], gaze.x[own], strict=True))
                assert looks["n_pixels"][place].tolist() == [len(pixels)]
                expected = [np.mean([one[p] for p in pixels]) for one in maps]
                np.testing.assert_allclose(arrays["looks"][place[0], :3], expected, atol=4e-3)
                seen += 1
    assert seen == len(looks) == len(arrays["looks"])


def test_the_whole_run_is_the_same_byte_for_byte(
    sliced: Run, paths_world: Path, tmp_path: Path
) -> None:
    plain = colours(paths_world, tmp_path / "plain", by=None)
    for path in plain.folder.iterdir():
        if path.name != "run.json":
            assert path.read_bytes() == (sliced.folder / path.name).read_bytes(), path.name
    described = json.loads((plain.folder / "run.json").read_text())["parameters"]
    assert "by" not in described
    with_slices = json.loads((sliced.folder / "run.json").read_text())["parameters"]
    by = with_slices.pop("by")
    assert with_slices == described
    assert (by["kind"], by["names"], len(by["sha256"])) == ("order", ["1", "2", "3+"], 64)
    with pytest.raises(InputError, match="its fixations are not sliced"):
        _ = plain.by
    with pytest.raises(InputError, match=r"begun with other parameters \(by.*choose another"):
        colours(paths_world, sliced.folder, by="order:1,2+")
    with pytest.raises(InputError, match="begun with other parameters"):
        colours(paths_world, sliced.folder, by=None)


def of_parts(values: np.ndarray, known: np.ndarray, part: np.ndarray) -> float:
    """Return the mean over divisions and parts of the means over the parts' regions."""
    return float(np.mean([values[known & (one == p)].mean() for one in part for p in range(3)]))


def test_means_and_differences_equal_a_plain_computation(sliced: Run) -> None:
    """Of four units all are chosen."""
    table, differences = sliced.by.table, sliced.by.differences
    counts = pd.read_parquet(sliced.folder / "slices.parquet")["n_fixations"].to_numpy()
    scores = np.load(sliced.folder / "slices.npy").astype(np.float64).mean(axis=1).reshape(-1, 3)
    group = groups(sliced.regions, sliced.categories, 0)["text"]
    part, own, n = group.folds.part, scores[group.rows], counts.reshape(-1, 3)[group.rows]
    assert len(own) == 12
    for k, name in enumerate(("1", "2", "3+")):
        row = table[(table["category"] == "text") & (table["slice"] == name)].iloc[0]
        known = n[:, k] > 0
        assert (row["regions"], row["without_fixations"]) == (known.sum(), (~known).sum())
        assert row["mean"] == pytest.approx(of_parts(own[:, k], known, part))
    row = differences[(differences["category"] == "text") & (differences["slice"] == "3+")]
    row = row[row["less"] == "2"].iloc[0]
    both = (n[:, 1:] > 0).all(axis=1)
    assert row["regions"] == both.sum()
    assert row["difference"] == pytest.approx(of_parts(own[:, 2] - own[:, 1], both, part))
    text = table[table["category"] == "text"]
    assert (text["low"] < text["mean"]).all()
    assert table.loc[table["category"] == "person part", "low"].isna().all(), "six stimuli"
    assert len(differences) == 6 * 3


def test_subjects_share_of_the_error_equals_a_plain_computation(sliced: Run) -> None:
    """The standard error of a difference, from looks one by one."""
    looks = pd.read_parquet(sliced.folder / "looks.parquet")
    looks["score"] = np.load(sliced.folder / "looks.npy").astype(np.float64).mean(axis=1)
    group = groups(sliced.regions, sliced.categories, 0)["text"]
    part, ids = group.folds.part, sliced.regions["annotation_id"].to_numpy()[group.rows]
    image = sliced.regions["image_id"].to_numpy()[group.rows]
    there = [set(looks.loc[looks["slice"] == name, "annotation_id"]) for name in ("1", "3+")]
    both = np.array([one in there[0] & there[1] for one in ids])
    cells: dict[tuple[int, str], float] = {}
    for name, sign in (("1", -1), ("3+", 1)):
        weighted = []
        for k in np.flatnonzero(both):
            own = looks[(looks["annotation_id"] == ids[k]) & (looks["slice"] == name)]
            share = np.mean([1 / (both & (one == one[k])).sum() / 3 for one in part])
            for row in own.to_dict("records"):
                weight = share * row["n_pixels"] / own["n_pixels"].sum()
                weighted.append((image[k], row["subject"], weight, row["score"]))
        value = sum(weight * score for *_, weight, score in weighted)
        n = len({who for _, who, *_ in weighted})
        for stimulus, who, weight, score in weighted:
            change = sign * weight * (score - value) * (n / (n - 1)) ** 0.5
            cells[stimulus, who] = cells.get((stimulus, who), 0) + change
    products = sum(
        a * b for (i, s), a in cells.items() for (j, t), b in cells.items() if s == t and i != j
    )
    differences = sliced.by.differences
    row = differences[(differences["category"] == "text") & (differences["slice"] == "3+")]
    row = row[row["less"] == "1"].iloc[0]
    means = group.folds.means(sliced.scores[group.rows])
    values = np.load(sliced.folder / "slices.npy").reshape(-1, 3, 4)[group.rows]
    held = group.folds[both].means((values[:, 2] - values[:, 0])[both])
    of_stimuli = cross_fit(means, held, top=10)[0].standard_error ** 2
    error = (of_stimuli + max(0.0, products)) ** 0.5
    assert row["subjects"] == 6
    reach = student.ppf(0.975, 5) * error
    assert row["high"] - row["difference"] == pytest.approx(reach, rel=1e-6)


def test_variances_of_stimuli_and_subjects_by_hand() -> None:
    """Two stimuli, two subjects: what a subject has in common on both is all that counts."""
    stimulus, subject = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    value = np.array([3.0, -1.0, 2.0, -4.0])
    of_stimuli, of_subjects = Influence(stimulus, subject, value).variances()
    assert of_stimuli == 2 * (2**2 + 2**2)
    assert of_subjects == (5**2 + 5**2) - (9 + 1 + 4 + 16)  # 2·3·2 + 2·1·4
    opposed = Influence(stimulus, subject, np.array([3.0, 0, -2.0, 0]))
    assert opposed.variances()[1] == 0, "never below 0"
    twice = Influence(np.zeros(2, int), np.zeros(2, int), np.array([1.0, 2.0]))
    assert twice.variances() == (9.0, 0.0), "looks of one subject on one stimulus are one"
    assert np.array_equal(twice.corrected().value, [np.nan, np.nan], equal_nan=True)


def test_an_interval_of_stimuli_and_subjects_by_hand() -> None:
    one = TwoWay(1.0, 0.09, 0.16, 30, 11)
    assert one.standard_error == pytest.approx(0.5)
    assert one.interval.low == pytest.approx(1 - 2.228139 * 0.5, abs=1e-5)  # t of 10 degrees
    assert one.p == pytest.approx(0.0733880, abs=1e-6)
    for few in (TwoWay(1.0, 0.09, 0.16, 9, 11), TwoWay(1.0, 0.09, 0.16, 30, 4)):
        assert np.isnan(few.interval.low) and np.isnan(few.p)


def test_shares_by_hand() -> None:
    gaze = pd.DataFrame(
        {
            "image_id": [1, 1, 2, 1, 2],
            "subject": ["a", "b", "a", "a", "b"],
            "slice": [0, 0, 0, 1, 1],
            "fixations": [2, 1, 1, 4, 4],
            0: [1, 1, 0, 1, 0],
            1: [0, 0, 0, 0, 0],
        }
    )
    shares = summarise_shares(gaze, ["text", "food"], ["1", "2+"])
    assert shares["share"].tolist()[:2] == [0.5, 0.125]
    assert shares["difference"].tolist()[1] == -0.375
    assert shares["fixations"].tolist() == [2, 1, 0, 0]
    assert shares["share"].isna().tolist() == [False, False, True, True]
    assert shares["low"].isna().all(), "two stimuli"


def test_shares_of_a_run_are_counted_from_its_gaze(sliced: Run, paths_world: Path) -> None:
    masks = MaskSet.read(paths_world / "masks.json")
    gaze = masks.fixations
    assert gaze is not None
    first = np.r_[True, (np.diff(gaze.image_id) != 0) | (np.diff(gaze.subject) != 0)]
    right = [a for a in masks.annotations if masks.category_of()[a.category_id] == "text"]
    looked = 0
    for annotation in right:
        own = gaze.where(first).of(annotation.image_id)
        looked += int(inside(annotation, masks.image(annotation.image_id), own).sum())
    row = sliced.by.shares.set_index(["category", "slice"]).loc[("text", "1")]
    assert row["fixations"] == looked
    assert row["share"] == pytest.approx(looked / first.sum())
    assert row["low"] < row["share"] < row["high"]


def test_intervals_hold_where_subjects_are_samples_too() -> None:
    """`benchmarks/coverage.py` tells how often; here is the rough of it, in seconds."""
    held, alone = [], []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        true = np.stack([true_means(rng, 24, selective=True)] * 2)
        options = {"subject_sd": 0.6, "per_look": 0.5, "by_subject": seed % 2 == 0}
        both = slices_hold(rng, 40, 20, true, **options)
        held.append(both[0])
        alone.append(both[1])
    assert (np.mean(held, axis=0) > 0.85).all()
    assert (np.mean(alone, axis=0) < 0.75).all(), "of stimuli alone they would not"


def test_an_interrupted_run_is_resumed(
    sliced: Run, paths_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = probing.Scorer.score, []

    def second_fails(self, loaded):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(self, loaded)

    monkeypatch.setattr(probing.Scorer, "score", second_fails)
    with pytest.raises(KeyboardInterrupt):
        colours(paths_world, tmp_path / "run")
    assert (tmp_path / "run" / "looks.partial.npy").exists()
    again = colours(paths_world, tmp_path / "run")
    assert len(calls) == 4, "three batches, the first not twice"
    assert_same(again, sliced)
    for name in ("slices", "looks", "by", "by_differences", "by_shares"):
        for path in sliced.folder.glob(f"{name}.*"):
            assert path.read_bytes() == (again.folder / path.name).read_bytes(), path.name
    assert not list(again.folder.glob("*partial*"))


def test_bad_images_are_left_out_of_the_slices_too(
    sliced: Run, paths_world: Path, tmp_path: Path
) -> None:
    root = tmp_path / "spoilt"
    shutil.copytree(paths_world, root)
    (root / "3.png").write_bytes(b"not a picture")
    run = colours(paths_world, tmp_path / "run", root=root, skip_bad=True)
    for name in ("slices", "looks"):
        table, whole = (pd.read_parquet(r.folder / f"{name}.parquet") for r in (run, sliced))
        keep = ~whole["annotation_id"].isin([5, 6])
        pd.testing.assert_frame_equal(table, whole[keep].reset_index(drop=True))
        array, all_of_it = (np.load(r.folder / f"{name}.npy") for r in (run, sliced))
        np.testing.assert_array_equal(array, all_of_it[keep])
    assert run.by.shares["fixations"].sum() < sliced.by.shares["fixations"].sum()


def test_a_stimulus_without_a_look_in_any_slice_is_scored(
    paths_world: Path, tmp_path: Path
) -> None:
    content = json.loads((paths_world / "masks.json").read_text())
    gaze, image = content["fixations"], content["images"][0]["id"]
    rows = [k for k, one in enumerate(gaze["image_id"]) if one != image]
    content["fixations"] = {name: [column[k] for k in rows] for name, column in gaze.items()}
    masks = tmp_path / "masks.json"
    masks.write_text(json.dumps(content))
    run = probe(
        masks,
        model="gabor",
        root=paths_world,
        out=tmp_path / "run",
        by=BY,
        execution=Execution(device="cpu", batch_size=1),
    )
    first = {one["id"] for one in content["annotations"] if one["image_id"] == image}
    sliced = pd.read_parquet(run.folder / "slices.parquet")
    mine = sliced["annotation_id"].isin(first).to_numpy()
    assert mine.sum() == 3 * len(first)
    scores = np.load(run.folder / "slices.npy")
    assert np.isnan(scores[mine]).all()
    assert len(np.load(run.folder / "looks.npy")) == len(
        pd.read_parquet(run.folder / "looks.parquet")
    )


def test_a_merge_of_sliced_runs_is_refused(sliced: Run, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="slices are not merged"):
        merge_runs([sliced.folder, sliced.folder], tmp_path / "both")


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("by", lambda t: t.assign(slice="x"), "has no slice 'x'"),
        ("by", lambda t: t.iloc[1:], "expected 18 rows"),
        ("by", lambda t: t.drop(columns="mean"), "no column 'mean'"),
        ("by_differences", lambda t: t.assign(less="1"), "expected 18 rows"),
        ("by_shares", lambda t: t.assign(category="x"), "has no category 'x'"),
    ],
)
def test_a_damaged_table_is_refused(
    name: str, change, words: str, sliced: Run, tmp_path: Path
) -> None:
    shutil.copytree(sliced.folder, tmp_path / "run")
    path = tmp_path / "run" / f"{name}.parquet"
    change(pd.read_parquet(path)).to_parquet(path, index=False)
    by = Run.open(tmp_path / "run").by
    with pytest.raises(InputError, match=words):
        _ = by.table, by.differences, by.shares


def test_the_tables_and_the_figure(sliced: Run, tmp_path: Path) -> None:
    console = TextConsole(record=True, width=120, file=io.StringIO())
    console.print(render_slices(sliced))
    text = " ".join(console.export_text().split())
    assert "by order of fixations (1: the first on a stimulus): 1, 2, 3+" in text
    for words in ("Where they looked", "1: mean NSS of 10 units", "2 less 1:", "3+ less 1:"):
        assert words in text
    assert "Regions without a fixation in a slice are left out there: 1:" in text
    draw_slices(sliced, tmp_path / "slices.png", categories=["text", "person part"])
    with Image.open(tmp_path / "slices.png") as picture:
        assert len(picture.convert("RGB").getcolors(1 << 24) or []) > 50
    with pytest.raises(InputError, match="no layer 'x'; expected units"):
        draw_slices(sliced, layers=["x"])
    with pytest.raises(InputError, match="no category 'x'"):
        draw_slices(sliced, categories=["x"])


def test_the_commands(command, sliced: Run, paths_world: Path, tmp_path: Path) -> None:
    shown = command("probe", "show", sliced.folder, "--by")
    assert "Where they looked" in shown.stdout
    rows = command("probe", "show", sliced.folder, "--by", "--format", "csv").stdout
    assert rows.startswith("layer,category,slice,mean,low,high,regions")
    command("probe", "figure", sliced.folder, "--by", "-o", tmp_path / "f.pdf")
    assert (tmp_path / "f.pdf").read_bytes().startswith(b"%PDF")
    wrong = command("probe", "show", sliced.folder, "--by", "--units", "text", check=2)
    assert wrong.stderr == "probe: --by and --units exclude each other; expected one of them\n"
    line = ("probe", "run", "-m", paths_world / "masks.json", "--model", "gabor", "-o")
    done = command(*line, tmp_path / "run", "--by", "time:0-300,300+")
    assert "what saccades take is not known" in " ".join(done.stderr.split())
    assert "300+ less 0-300" in done.stdout
    assert "300+ less 0-300" in (tmp_path / "run" / "report.html").read_text()
    refused = command(*line, tmp_path / "no", "--by", "order:77", check=2)
    assert refused.stderr == "probe: --by order: no fixation is in slice '77'\n"
    assert not (tmp_path / "no").exists()


def test_another_table_of_groups_is_another_run(paths_world: Path, tmp_path: Path) -> None:
    table = tmp_path / "groups.csv"
    table.write_text("subject,group\n0,a\n1,a\n2,a\n3,b\n4,b\n5,b\n")
    run = colours(paths_world, tmp_path / "run", by=f"subjects:{table}")
    assert run.by.names == ["a", "b"]
    looks = pd.read_parquet(run.folder / "looks.parquet")
    assert set(zip(looks["subject"], looks["slice"], strict=True)) == {
        *(("0", "a"), ("1", "a"), ("2", "a")),
        *(("3", "b"), ("4", "b"), ("5", "b")),
    }
    before = hashlib.sha256((run.folder / "slices.npy").read_bytes()).hexdigest()
    table.write_text("subject,group\n0,a\n1,a\n2,b\n3,b\n4,b\n5,b\n")
    with pytest.raises(InputError, match=r"other parameters \(by.sha256"):
        colours(paths_world, tmp_path / "run", by=f"subjects:{table}")
    assert hashlib.sha256((run.folder / "slices.npy").read_bytes()).hexdigest() == before


def test_the_same_groups_in_another_order_of_rows_are_the_same(tmp_path: Path) -> None:
    tables = ("subject,group\na,old\nb,young\nc,old\n", "subject,group\nc,old\nb,young\na,old\n")
    hashes = []
    for number, content in enumerate(tables):
        path = tmp_path / f"{number}.csv"
        path.write_text(content)
        hashes.append(Slicing.parse(f"subjects:{path}").sha256())
    assert hashes[0] == hashes[1]
