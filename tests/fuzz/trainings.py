"""What `probe` reads of trainings: their folders, finished or not, weights, and experiments."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
import torch
from fuzz.reader import Reader
from fuzz.results import copied, labelled
from PIL import Image
from safetensors.torch import save_file
from tensorflow_files import DATA, GRAPH, INDEX, real

from salprobe.datasets.progress import SILENT
from salprobe.datasets.sources.folder import load_folder
from salprobe.datasets.stimuli import Dataset
from salprobe.probe.experiments.sweep import _nmm
from salprobe.probe.experiments.trainings import entered
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone, load_model
from salprobe.probe.runs.inputs import trained_on
from salprobe.probe.saliency.maps import predictor
from salprobe.probe.sources.weights import read_states
from salprobe.probe.training import trainer
from salprobe.probe.training.recipe import Recipe
from salprobe.probe.training.scenes import read_scenes
from salprobe.probe.training.split import read_split
from salprobe.probe.training.store import read_test, write_table
from salprobe.probe.training.train import train

_ON_CPU = Execution(device="cpu", workers=1, batch_size=2)


def _dataset(root: Path) -> Dataset:
    return load_folder(root / "gaze")


def _train(out: Path) -> None:
    model = Backbone("nets:small", input_size=(18, 24))
    recipe = Recipe(tune="all", epochs=2)
    train(_dataset(out.parent), recipe, out, model=model, execution=_ON_CPU)


def write_trainings(folder: Path) -> None:
    """Write their seeds below a folder."""
    (folder / "gaze").mkdir()
    rng, rows = np.random.default_rng(4), ["image,subject,x,y"]
    for number in range(1, 8):
        picture = rng.integers(0, 255, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / "gaze" / f"{number}.png")
        rows += [f"{number}.png,{subject},{5 * number},{9 + subject}" for subject in range(3)]
    (folder / "gaze" / "fixations.csv").write_text("\n".join(rows))
    (folder / "gaze" / "dataset.json").write_text('{"name": "mine", "px_per_degree": 8.0}')
    _train(folder / "trained")
    write = trainer.write_checkpoint

    def stop(*arguments: object) -> None:
        write(*arguments)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with patch.object(trainer, "write_checkpoint", stop):
        try:
            _train(folder / "training")
        except KeyboardInterrupt:
            (folder / "training" / ".lock").unlink(missing_ok=True)
    state = load_model("nets:small", seed=1).network.state_dict()
    torch.save(state, folder / "w.pth")
    torch.save({"state_dict": state}, folder / "old.pth", _use_new_zipfile_serialization=False)
    save_file(state, folder / "w.safetensors")
    (folder / "w.pb").write_bytes(real(GRAPH))
    (folder / "checkpoint").mkdir()
    (folder / "checkpoint" / "w.index").write_bytes(real(INDEX))
    (folder / "checkpoint" / "w.data-00000-of-00001").write_bytes(real(DATA))
    names = [f"{number}.png" for number in range(1, 8)]
    parts = ["train", "validation", "test", "train", "train", "test", "train"]
    write_table(folder / "parts.csv", pd.DataFrame({"image": names, "split": parts}))
    write_table(folder / "scenes.csv", pd.DataFrame({"image": names, "scene": list("ababaab")}))
    _enter(folder / "sweep")
    nmm = dict.fromkeys(("nmm", "nmm_low", "nmm_high", "nmm_crossval"), 0.5)
    frame = pd.DataFrame([{"layer": name, **nmm} for name in ("cut", "readout")])
    write_table(folder / "popout.csv", frame)


def _enter(out: Path) -> None:
    parameters = {"masks": "0", "popout": None, "arrays": {"1": "2"}}
    with entered(out, "sweep", parameters, labelled(), out.parent / "probed", SILENT):
        pass


def _trained(folder: Path) -> None:
    """Do what commands do with a training folder as --model, or as --out."""
    trained_on(folder, labelled(), folder.parent / "probed")
    predictor(folder)(np.zeros((30, 40, 3), np.uint8))
    _train(folder)


def _weights(path: Path) -> None:
    load_model("nets:small", str(path))


TRAININGS = [
    *(
        Reader(f"training {name}", f"trained/{name}", copied(_trained), 0.2)
        for name in ("train.json", "split.csv", "best.safetensors")
    ),
    Reader(
        "training test.csv",
        "trained/test.csv",
        lambda path: read_test(path.parent, (3, 6), ["image"], ["nss"]),
    ),
    *(
        Reader(f"unfinished {name}", f"training/{name}", copied(_train), 0.1)
        for name in ("train.json", "checkpoint.pt", "best.safetensors")
    ),
    *(Reader(f"weights {name}", name, _weights) for name in ("w.pth", "old.pth", "w.safetensors")),
    Reader("TensorFlow's graph", "w.pb", read_states),
    Reader(
        "TensorFlow's checkpoint",
        "checkpoint/w.index",
        copied(lambda folder: read_states(folder / "w.index")),
    ),
    Reader(
        "--split",
        "parts.csv",
        lambda path: read_split(path, _dataset(path.parent).stimuli),
    ),
    Reader(
        "--scenes",
        "scenes.csv",
        lambda path: read_scenes(path, _dataset(path.parent).stimuli, 2),
    ),
    Reader("sweep.json", "sweep/sweep.json", copied(_enter)),
    Reader("sweep popout.csv", "popout.csv", lambda path: _nmm(path, ("cut", "readout"))),
]
