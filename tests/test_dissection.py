"""Dissection against loops by hand: levels, intersection over union, detectors, resuming."""

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from counting import Counting
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

import salprobe as sp
from salprobe.datasets.errors import InputError
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.probe.cli.main import app
from salprobe.probe.dissection import passes as passes_module
from salprobe.probe.dissection.agreement import iou_and_nss
from salprobe.probe.dissection.dissect import Dissection, detectors, dissect, summarised
from salprobe.probe.dissection.overlap import Counts, Highest, rotation
from salprobe.probe.layers.layers import Layer
from salprobe.probe.networks.load import model_of_module
from salprobe.probe.networks.reader import Reader
from salprobe.probe.views.dissection import draw_detectors, render_dissection


class Reds(nn.Module):
    """Units: how red a picture is, how dark, and both of a layer of half the size."""

    def __init__(self) -> None:
        super().__init__()
        self.colours = nn.Conv2d(3, 2, 1)
        with torch.no_grad():
            weights = torch.tensor([[2.0, -1.0, -1.0], [-1.0, -1.0, -1.0]])
            self.colours.weight.copy_(weights[:, :, None, None])
            nn.init.zeros_(self.colours.bias)
        self.pooled = nn.AvgPool2d(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.pooled(self.colours(x)).mean((2, 3))


REDS = sp.Network(Reds(), mean=(0.0, 0.0, 0.0), sd=(1.0, 1.0, 1.0), size=(72, 96))


@pytest.fixture(scope="module")
def squares(gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The masks of the red squares, all of one category, and of the other regions of another."""
    masks = MaskSet.read(gaze_world / "masks.json").to_dict()
    for number, region in enumerate(masks["annotations"]):
        region["category_id"] = 1 if number % 2 == 0 else 6
    path = tmp_path_factory.mktemp("squares") / "squares.json"
    MaskSet.from_dict(masks).write(path)
    return path


@pytest.fixture(scope="module")
def found(squares: Path, gaze_world: Path, tmp_path_factory: pytest.TempPathFactory) -> Dissection:
    out = tmp_path_factory.mktemp("dissected") / "reds"
    return dissect(squares, model=REDS, root=gaze_world, out=out, quantile=0.045)


def test_a_unit_that_detects_a_known_square_overlaps_it(found: Dissection) -> None:
    red = found.units.query("layer == 'colours' and unit == 0").set_index("category")["iou"]
    assert red["person head"] > 0.85  # the squares are 4.2 % of a picture
    assert found.detectors.query("layer == 'colours' and unit == 0")["category"].tolist() == [
        "person head"
    ]
    dark = found.units.query("layer == 'colours' and unit == 1").set_index("category")["iou"]
    assert dark["person head"] == 0


def test_overlaps_are_those_of_loops(found: Dissection, squares: Path, gaze_world: Path) -> None:
    """Levels and counts of every unit and category in plain NumPy, at 36×48."""
    masks = MaskSet.read(squares)
    maps: dict[str, list[np.ndarray]] = {"colours": [], "pooled": []}
    labels = []
    network = Reds()
    for image in masks.images:
        picture = np.asarray(Image.open(gaze_world / image.file_name)).astype(np.float32) / 255
        x = torch.from_numpy(picture).permute(2, 0, 1)[None]
        with torch.no_grad():
            maps["colours"].append(network.colours(x)[0].numpy())
            maps["pooled"].append(network.pooled(network.colours(x))[0].numpy())
        label = np.zeros((2, 36, 48), dtype=bool)
        for region in masks.annotations:
            if region.image_id == image.id:
                left, top, width, height = region.bbox
                for i in range(36):
                    for j in range(48):
                        y, x_ = int((i + 0.5) * 2), int((j + 0.5) * 2)
                        if left <= x_ < left + width and top <= y < top + height:
                            label[0 if region.category_id == 1 else 1, i, j] = True
        labels.append(label)
    area = np.sum(labels, axis=(0, 2, 3))
    assert list(found.info.areas.values()) == [area[0], 0, 0, 0, 0, area[1], *[0] * 6]
    for layer, stack in maps.items():
        for unit in range(2):
            values = np.sort(np.concatenate([one[unit].ravel() for one in stack]))[::-1]
            level = values[int(0.045 * len(values))]
            assert (values > level).mean() <= 0.045
            both, above = np.zeros(2), 0
            for one, label in zip(stack, labels, strict=True):
                on = by_hand(one[unit].astype(np.float64), 36, 48) > level
                above += on.sum()
                both += (on & label).sum(axis=(1, 2))
            own = (found.units["layer"] == layer) & (found.units["unit"] == unit)
            rows = found.units[own].set_index("category")
            assert rows["level"].iloc[0] == pytest.approx(level, abs=1e-6)
            for place, category in enumerate(("person head", "text")):
                iou = both[place] / (above + area[place] - both[place])
                assert rows.loc[category, "iou"] == pytest.approx(iou, abs=2e-3)
            assert np.isnan(rows.loc["food", "iou"])


def by_hand(values: np.ndarray, height: int, width: int) -> np.ndarray:
    """Resize bilinearly, with half-pixel centres, one place at a time."""
    out = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * values.shape[0] / height - 0.5, 0), values.shape[0] - 1)
            x = min(max((j + 0.5) * values.shape[1] / width - 0.5, 0), values.shape[1] - 1)
            a, b = int(y), int(x)
            c, d = min(a + 1, values.shape[0] - 1), min(b + 1, values.shape[1] - 1)
            upper = values[a, b] * (1 - (x - b)) + values[a, d] * (x - b)
            lower = values[c, b] * (1 - (x - b)) + values[c, d] * (x - b)
            out[i, j] = upper * (1 - (y - a)) + lower * (y - a)
    return out


@given(
    st.integers(1, 60),
    st.floats(0.001, 0.999),
    st.lists(st.integers(1, 25), min_size=1, max_size=6),
    st.integers(0, 99),
)
def test_levels_are_exact_however_the_values_come(
    kinds: int, share: float, parts: list[int], seed: int
) -> None:
    values = np.random.default_rng(seed).integers(0, kinds, (3, sum(parts))).astype(np.float32)
    highest = Highest(3, sum(parts), share)
    for part in np.split(values, np.cumsum(parts)[:-1], axis=1):
        highest.add(torch.from_numpy(part))
    for unit, level in enumerate(highest.level().tolist()):
        own = values[unit]
        assert level in own
        assert (own > level).sum() <= share * len(own)
        lower = own[own < level]
        if len(lower):  # the next lower value leaves too many above it
            assert (own > lower.max()).sum() > share * len(own)


def test_levels_keep_no_more_than_their_share() -> None:
    highest = Highest(2, 10_000, 0.01)
    for _ in range(100):
        highest.add(torch.rand(2, 100))
    assert highest.values.shape == (2, 101)


def test_a_unit_that_is_the_mask_has_an_overlap_of_one_and_its_complement_none() -> None:
    label = torch.zeros(1, 8, 8)
    label[0, 2:5, 3:7] = 1
    counts = Counts(3, 1)
    maps = torch.stack([label[0], 1 - label[0], torch.zeros(8, 8)])
    counts.add(maps, torch.tensor([0.5, 0.5, 0.5]), label)
    iou = counts.iou(np.array([12]))
    assert iou[:, 0].tolist() == [1, 0, 0]
    assert counts.above.tolist() == [12, 52, 0]


def test_units_counted_in_parts_are_counted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    from salprobe.probe.dissection import overlap

    torch.manual_seed(1)
    maps, labels = torch.randn(20, 5, 6), (torch.rand(3, 12, 14) > 0.7).float()
    level = torch.full((20,), 0.5)
    whole, parts = Counts(20, 3), Counts(20, 3)
    whole.add(maps, level, labels)
    monkeypatch.setattr(overlap, "_PART", 12 * 14 * 3)
    parts.add(maps, level, labels)
    assert (whole.both == parts.both).all()
    assert (whole.above == parts.above).all()


def test_levels_and_overlaps_are_float32_whatever_the_networks_precision(
    squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    model = model_of_module(REDS)
    layer = model.layer("colours")
    kinds = []

    def look(_layer: Layer, maps: torch.Tensor) -> None:
        kinds.extend([maps.dtype, (torch.ones(4, 4) @ torch.ones(4, 4)).dtype])

    with Reader(model, [layer], torch.device("cpu"), "bf16") as reader:
        reader.read([np.zeros((72, 96, 3), dtype=np.uint8)], look)
    assert kinds == [torch.bfloat16, torch.float32]


def test_fewer_positions_than_the_quantile_tells_are_refused(
    squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"colours: 1e-06 of its 145152 positions is less than"):
        dissect(squares, model=REDS, root=gaze_world, out=tmp_path / "out", quantile=1e-6)
    assert not (tmp_path / "out").exists()


def test_a_rotation_keeps_all_lengths_and_depends_on_the_seed() -> None:
    one = rotation(40, (0, 1))
    assert torch.allclose(one @ one.T, torch.eye(40), atol=1e-5)
    assert torch.equal(one, rotation(40, (0, 1)))
    assert not torch.equal(one, rotation(40, (0, 2)))


def test_the_rotated_control_is_the_dissection_of_the_rotated_units(
    found: Dissection, squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.colours = nn.Conv2d(3, 2, 1)
            own = Reds().colours
            with torch.no_grad():
                turned = torch.einsum("uv,vchw->uchw", rotation(2, (0, 0)), own.weight)
                self.colours.weight.copy_(turned)
                nn.init.zeros_(self.colours.bias)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.colours(x).mean((2, 3))

    network = sp.Network(Turned(), mean=(0.0, 0.0, 0.0), sd=(1.0, 1.0, 1.0), size=(72, 96))
    turned = dissect(
        squares,
        model=network,
        layers="colours",
        root=gaze_world,
        out=tmp_path / "turned",
        quantile=0.045,
    )
    one = found.summary.query("layer == 'colours'").set_index("category")
    other = turned.summary.set_index("category")
    for category in ("person head", "text"):
        assert one.loc[category, "best_iou_rotated"] == pytest.approx(
            other.loc[category, "best_iou"], abs=2e-3
        )


def test_a_detector_detects_one_category_the_highest_above_the_bound() -> None:
    rows = [
        ("a", 0, "x", 0.05), ("a", 0, "y", 0.06), ("a", 1, "x", 0.04), ("a", 1, "y", np.nan),
        ("a", 2, "x", np.nan), ("a", 2, "y", np.nan), ("b", 0, "x", 0.9), ("b", 0, "y", 0.1),
    ]  # fmt: skip
    units = pd.DataFrame(rows, columns=["layer", "unit", "category", "iou"])
    kept = detectors(units)
    assert list(zip(kept["layer"], kept["unit"], kept["category"], strict=True)) == [
        ("a", 0, "y"),
        ("b", 0, "x"),
    ]


def test_interrupted_in_either_pass_it_ends_the_same(
    found: Dissection,
    squares: Path,
    gaze_world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, forward = tmp_path / "stopped", passes_module.Passes._take
    monkeypatch.setattr("salprobe.probe.dissection.state._SECONDS", -1.0)
    for after in (2, 3, 2):
        left = after

        def stop(*arguments: object, **named: object) -> None:
            nonlocal left
            if left == 0:
                raise KeyboardInterrupt
            left -= 1
            forward(*arguments, **named)  # type: ignore[arg-type]

        monkeypatch.setattr(passes_module.Passes, "_take", stop)
        with pytest.raises(KeyboardInterrupt):
            dissect(squares, model=REDS, root=gaze_world, out=out, quantile=0.045)
        with pytest.raises(InputError, match="unfinished"):
            Dissection.open(out)
    monkeypatch.setattr(passes_module.Passes, "_take", forward)
    said = Counting()
    dissect(squares, model=REDS, root=gaze_world, out=out, quantile=0.045, progress=said)
    assert any("resuming: 25 of 42" in text for text in said.said)
    for name in ("units.csv", "summary.csv", "images.csv"):
        assert (out / name).read_bytes() == (found.folder / name).read_bytes()
    assert not (out / "unfinished.safetensors").exists()


def test_other_parameters_pictures_or_a_damaged_state_are_refused(
    squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    dissect(squares, model=REDS, root=gaze_world, out=out, quantile=0.045)
    with pytest.raises(InputError, match=r"other parameters \(quantile: 0.045, now 0.01"):
        dissect(squares, model=REDS, root=gaze_world, out=out, quantile=0.01)
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for path in gaze_world.glob("*.png"):
        Image.open(path).save(pictures / path.name)
    Image.new("RGB", (96, 72)).save(pictures / "3.png")
    with pytest.raises(InputError, match=r"other pictures \(3.png differs"):
        dissect(squares, model=REDS, root=pictures, out=out, quantile=0.045)
    record = json.loads((out / "dissection.json").read_text())
    (out / "dissection.json").write_text(json.dumps(record | {"status": "running"}))
    (out / "unfinished.safetensors").write_bytes(b"\x08" + bytes(40))
    with pytest.raises(InputError, match=r"unfinished.safetensors: cannot be read"):
        dissect(squares, model=REDS, root=gaze_world, out=out, quantile=0.045)


def test_its_ranking_beside_that_of_a_run(
    found: Dissection, squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    run = sp.probe(squares, model=REDS, root=gaze_world, out=tmp_path / "run")
    table = iou_and_nss(found, run).set_index(["layer", "category"])
    head = table.loc[("colours", "person head")]
    assert (head["units"], head["spearman"], head["common"]) == (2, pytest.approx(1), 2)
    assert np.isnan(table.loc[("colours", "food"), "spearman"])
    other = sp.probe(
        squares, model=sp.Backbone("gabor", input_size=(36, 48)), root=gaze_world,
        out=tmp_path / "other",
    )  # fmt: skip
    with pytest.raises(InputError, match="different networks"):
        iou_and_nss(found, other)
    with pytest.raises(InputError, match="different networks"):  # before it begins
        dissect(squares, model=REDS, root=gaze_world, out=tmp_path / "none", beside=other)
    assert not (tmp_path / "none").exists()


def test_tables_that_were_changed_are_refused(
    found: Dissection, squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    shutil.copytree(found.folder, tmp_path / "copy")
    table = tmp_path / "copy" / "units.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(InputError, match=r"units.csv: is missing, or not what was written"):
        Dissection.open(tmp_path / "copy")


def test_a_category_that_no_unit_overlaps_has_no_best_unit() -> None:
    units = pd.DataFrame(
        {
            "layer": "l",
            "unit": [0, 0, 1, 1],
            "category": ["a", "b"] * 2,
            "iou": [0.0, 0.0, 0.0, 0.2],
        }
    )
    best = summarised(units, units).set_index("category")["best_unit"]
    assert np.isnan(best["a"])
    assert best["b"] == 1


def test_activations_that_are_not_finite_name_picture_layer_and_unit(
    squares: Path, gaze_world: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"1.png: unit 2 of units has activations"):
        dissect(squares, model="nets:infinite", root=gaze_world, out=tmp_path / "out")


def test_the_chart_and_the_tables_show_what_was_found(found: Dissection, tmp_path: Path) -> None:
    from io import StringIO

    from rich.console import Console

    draw_detectors(found, tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 5000
    console = Console(file=StringIO(), width=160)
    console.print(render_dissection(found))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert "21 images" in text
    assert "4.5 % of its" in text


def test_the_command_prints_writes_and_refuses(
    squares: Path, gaze_world: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--model", "gabor", "--input-size", "36x48", "--root", str(gaze_world)]
    out = tmp_path / "out"
    line = ["dissect", str(squares), *options, "-o", str(out), "--format", "csv"]
    app(line, standalone_mode=False)
    printed = capsys.readouterr().out
    assert printed.startswith("layer,unit,category,level,iou\n")
    assert {path.name for path in out.iterdir()} >= {"units.csv", "summary.csv", "detectors.png"}
    with pytest.raises(InputError, match="quantile 2: expected a number between 0 and 1"):
        app([*line[:-2], "--quantile", "2"], standalone_mode=False)
