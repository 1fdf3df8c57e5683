"""What `probe` reads of results: runs, finished or not, pop-out results, saliency maps."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest.mock import patch

import h5py
import numpy as np
from fuzz.inputs import masks
from fuzz.reader import Reader
from PIL import Image
from scipy.io import savemat
from sites import write_fields

from salprobe.annotate.popout.arrays import Arrays, write_arrays
from salprobe.datasets.errors import InputError
from salprobe.datasets.fixations import Fixations
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.stimuli import Stimuli
from salprobe.probe.analysis.compare import compare
from salprobe.probe.analysis.examples import examples
from salprobe.probe.analysis.unit_change import transitions, unit_change
from salprobe.probe.choices import MapFormat
from salprobe.probe.experiments.popout import popout
from salprobe.probe.explain.explaining import explain
from salprobe.probe.explain.explanation import Explanation
from salprobe.probe.explain.rebuilt import explained_model, readout_function
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone
from salprobe.probe.popout.measures import search_arrays
from salprobe.probe.records.explain_info import ExplainInfo
from salprobe.probe.runs import partial
from salprobe.probe.runs.inputs import layers_of, masks_of, model_of
from salprobe.probe.runs.probing import probe
from salprobe.probe.runs.run import Run
from salprobe.probe.saliency.given import given_maps
from salprobe.probe.saliency.maps import network_maps
from salprobe.probe.saliency.writing import write_maps
from salprobe.probe.scoring.slices import Slicing
from salprobe.probe.sources.factory import trust
from salprobe.probe.views.explain import render_explained_units, render_explanation
from salprobe.probe.views.report.results import results_of
from salprobe.probe.views.report.run_page import short_page
from salprobe.probe.views.run import for_print, formatted, render_run, render_units
from salprobe.probe.views.slices.picture import draw_slices
from salprobe.probe.views.slices.table import render_slices
from salprobe.tui.results.runs import read_search, so_far


def labelled() -> MaskSet:
    """Return two images with two labelled regions each."""
    content = masks().to_dict()
    for place, region in enumerate(content["annotations"]):
        region["category_id"] = 1 + place % 2
    content["categories"] = [one for one in content["categories"] if one["id"] in (1, 2, 13)]
    return MaskSet.from_dict(content)


def _probe(out: Path, by: str | None = None) -> Run:
    return probe(
        out.parent / "probed" / "m.json",
        model=Backbone("nets:colours", input_size=(12, 16)),
        out=out,
        by=by,
        execution=Execution(device="cpu", workers=1, batch_size=1),
    )


def write_results(folder: Path) -> None:
    """Write their seeds below a folder."""
    rng = np.random.default_rng(2)
    (folder / "probed").mkdir()
    for image in labelled().images:
        picture = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "probed" / image.file_name)
    labelled().write(folder / "probed" / "m.json")
    _probe(folder / "run")
    (folder / "groups.csv").write_text("subject,group\na,x\nb,y\nc,x\n")
    _probe(folder / "sliced", f"subjects:{folder / 'groups.csv'}")
    with patch.object(partial.Partial, "finish", side_effect=KeyboardInterrupt):
        try:
            _probe(folder / "begun")
        except KeyboardInterrupt:
            (folder / "begun" / ".lock").unlink(missing_ok=True)
    arrays = Arrays(features=("hue",), count=2, items=(9,), width=120, height=90)
    write_arrays(arrays, folder / "arrays")
    _popout(folder / "popout")
    popout(folder / "arrays" / "popout.json", ["nets:colours"], out=folder / "units", device="cpu")
    for suffix in ("npy", "mat", "h5", "png"):
        (folder / f"maps-{suffix}").mkdir()
    saliency = rng.random((15, 20))
    for image in labelled().images:
        stem = Path(image.file_name).stem
        np.save(folder / "maps-npy" / stem, saliency)
        savemat(folder / "maps-mat" / f"{stem}.mat", {"map": saliency})
        with h5py.File(folder / "maps-h5" / f"{stem}.h5", "w") as file:
            file.create_dataset("map", data=saliency)
        Image.fromarray((255 * saliency).astype(np.uint8)).save(
            folder / "maps-png" / image.file_name
        )
    write_fields(folder / "fields")
    _explain(folder / "explained")
    _write_maps(folder / "written", "npy")
    _write_maps(folder / "written", "hdf5")


def _explain(out: Path) -> None:
    """Write an explanation of a saliency model, on more pictures than folds."""
    rng, rows = np.random.default_rng(6), ["image,subject,x,y"]
    gaze = out.parent / "explained-on"
    gaze.mkdir()
    for number in range(6):
        picture = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(gaze / f"{number}.png")
        rows.append(f"{number}.png,1,{5 * number},9")
    (gaze / "fixations.csv").write_text("\n".join(rows))
    (gaze / "dataset.json").write_text('{"name": "mine", "px_per_degree": 8.0}')
    model = Backbone("toys:blurred", input_size=(24, 32))
    explain(gaze, model=model, layers="maps", registration="plain", out=out)


def _popout(out: Path) -> None:
    popout(out.parent / "arrays" / "popout.json", ["spectral"], out=out, device="cpu")


def _write_maps(out: Path, format: MapFormat) -> None:
    stimuli = Stimuli(out.parent / "probed", tuple(labelled().images))
    saliency = np.random.default_rng(3).random((30, 40))
    write_maps(stimuli, {"m": lambda _: saliency}, out, format=format, identities={"m": "1"})


def _run(path: Path) -> None:
    """Do what `show`, `compare`, `figure` and `review` do with a run."""
    read_search(path.parent)
    run = Run.open(path.parent)
    render_run(run)
    run._repr_html_()
    formatted(for_print(run), "latex")
    formatted(run.summary, "json")
    render_units(run, "person head", 3)
    short_page(run).single()
    layer = run.layers[0].name
    unit_change(run, run, layer, 0)
    transitions(run, run, layer)
    examples(run)
    masks_of(run)
    layers_of(run, model_of(run))
    with patch("salprobe.probe.analysis.compare._RESAMPLES", 2):
        compare(run, run)


def _slices(path: Path) -> None:
    """Do what `show --by` and `figure --by` do."""
    run = Run.open(path.parent)
    render_slices(run)
    formatted(run.by.table, "csv")
    draw_slices(run, path.parent.with_name("slices.png"))


def _groups(path: Path) -> None:
    Slicing.parse(f"subjects:{path}").check(masks().fixations or Fixations(*[[]] * 5), None)


def copied(read: Callable[[Path], object]) -> Callable[[Path], None]:
    """Return what reads a copy of the folder that a file is in, and also writes in it."""

    def on_copy(path: Path) -> None:
        root = next(parent for parent in path.parents if (parent / "probed").is_dir())
        copy = root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(root / path.relative_to(root).parts[0], copy)
        read(copy)

    return on_copy


def _begun(folder: Path) -> None:
    so_far(folder)
    _probe(folder)


def _maps(path: Path) -> None:
    stimuli = Stimuli(path.parent.with_name("probed"), tuple(labelled().images))
    maps = given_maps(path if path.suffix == ".hdf5" else path.parent, stimuli)
    maps.sha256()
    for stimulus in stimuli:
        maps(stimulus)


def _explained(path: Path) -> None:
    """Do what `show`, `compare`, `figure` and saliency models do with an explanation."""
    with suppress(InputError):  # it refuses whatever its record has no hash of
        Explanation.open(path.parent)
    trust("toys:blurred")
    found = Explanation(path.parent, ExplainInfo.read(path.parent))
    render_explanation(found)
    render_explained_units(found, 3)
    found.against(found)
    found.weights_of(found.info.layers[0].name)
    picture = np.zeros((30, 40, 3), np.uint8)
    readout_function(found, "without_1")(picture)
    network_maps(explained_model(found))(picture)


RESULTS = [
    *(
        Reader(f"explanation {name}", f"explained/{name}", _explained, 0.2)
        for name in ("explain.json", "units.csv", "layers.csv", "images.csv", "readout.csv")
    ),
    *(
        Reader(f"explanation {name}", f"explained/{name}", _explained, 0.2)
        for name in ("coefficients.npy", "spreads.npy", "stimuli.npy")
    ),
    *(Reader(f"run {name}", f"run/{name}", _run, 0.2) for name in ("run.json", "scores.npy")),
    Reader("run shuffled.npy", "run/shuffled.npy", _run, 0.2),
    *(
        Reader(f"run {name}", f"run/{name}.parquet", _run, 0.2)
        for name in ("regions", "images", "units", "summary")
    ),
    *(
        Reader(f"slices {name}", f"sliced/{name}", _slices, 0.2)
        for name in ("run.json", "by.parquet", "by_differences.parquet", "by_shares.parquet")
    ),
    Reader("groups of subjects", "groups.csv", _groups),
    *(
        Reader(f"unfinished {name}", f"begun/{name}", copied(_begun), 0.2)
        for name in ("run.json", "scores.partial.npy", "shuffled.partial.npy", "journal.0.jsonl")
    ),
    Reader(
        "popout.json",
        "arrays/popout.json",
        lambda path: search_arrays(MaskSet.read(path)),
    ),
    Reader("popout run.json", "popout/run.json", copied(_popout)),
    *(
        Reader(f"popout {file}", file, lambda path: read_search(path.parent))
        for file in ("popout/measures.parquet", "units/layers.parquet")
    ),
    *(
        Reader(f"page of {file}", file, lambda path: results_of(path.parent))
        for file in (
            *("popout/run.json", "popout/measures.parquet", "popout/models.parquet"),
            *("units/layers.parquet", "fields/fields.json", "fields/shares.csv"),
        )
    ),
    *(
        Reader(f"map {suffix}", f"maps-{suffix}/1.{suffix}", _maps)
        for suffix in ("npy", "mat", "h5", "png")
    ),
    Reader("maps.jsonl", "written/m/maps.jsonl", copied(lambda folder: _write_maps(folder, "npy"))),
    Reader("maps given .hdf5", "written/m.hdf5", _maps),
    Reader("maps .hdf5", "written/m.hdf5", copied(lambda folder: _write_maps(folder, "hdf5"))),
]
