"""What `datasets` and `annotate` read: mask files, tables, pictures, arrays, others' labels."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from exports import CASES
from fuzz.reader import Reader
from PIL import Image
from published import WRITERS
from scipy.io import savemat

from salprobe.annotate.formats.exchange import export_masks, import_masks
from salprobe.annotate.labels.check import repair, suspicions
from salprobe.annotate.labels.merge import merge
from salprobe.annotate.labels.stats import statistics
from salprobe.annotate.labelstudio.client import Project
from salprobe.annotate.labelstudio.config import label_config
from salprobe.annotate.labelstudio.pull import from_project, pull
from salprobe.annotate.labelstudio.push import plan_push
from salprobe.annotate.labelstudio.tasks import prediction, task_data
from salprobe.annotate.review.journal import Review
from salprobe.datasets.errors import reading
from salprobe.datasets.files import parse_json
from salprobe.datasets.gaze.pysaliency.write import write_pysaliency
from salprobe.datasets.gaze.read import read_gaze
from salprobe.datasets.gaze.settings import TableFormat
from salprobe.datasets.gaze.tables import read_table
from salprobe.datasets.masks.mask_set import MaskSet, new_mask_set
from salprobe.datasets.masks.outlines import outline_of_mask, outline_of_polygons
from salprobe.datasets.progress import SILENT
from salprobe.datasets.published.read import READERS as PUBLISHED
from salprobe.datasets.readers.arrays import read_arrays
from salprobe.datasets.sources.archives import unpack
from salprobe.datasets.sources.folder import read_description
from salprobe.datasets.sources.osie import read_fixations_mat
from salprobe.datasets.sources.salicon import load_salicon
from salprobe.datasets.stimuli import Stimuli, Stimulus, image_size, read_picture, read_values


def masks() -> MaskSet:
    """Return a mask set with everything in it."""
    images = [Stimulus(id=k, file_name=f"{k}.png", width=40, height=30) for k in (1, 2)]
    mask = np.zeros((30, 40), bool)
    mask[5:20, 5:30] = True
    mask[8:10, 8:10] = False
    outlines = (outline_of_polygons([[4, 4, 20, 4, 20, 20, 4, 20]]), outline_of_mask(mask))
    regions: list[dict] = []
    for image in images:
        for outline in outlines:
            regions.append(
                {
                    **{"id": len(regions) + 1, "image_id": image.id, "category_id": 13},
                    **outline.to_coco(),
                    **{"n_fixations": 3, "n_subjects": 2, "note": "n", "unsure": True},
                    "suggestion": {"category": "text", "confidence": 0.5, "source": "s"},
                }
            )
    made = new_mask_set(images, regions, None, "made", dataset="mine", px_per_degree=20.0)
    columns = {"image_id": [1, 2], "subject": ["a", "b"], "x": [5, 6], "y": [5, 6]}
    content = made.to_dict() | {"fixations": {**columns, "duration_ms": [100, None]}}
    return MaskSet.from_dict(content)


def tasks() -> list[dict]:
    """Return what a Label Studio server answers: predictions and an annotation on each task."""
    known = masks()
    names, regions, made = known.category_of(), known.by_image(), []
    stamp = {"created_at": "2026-01-02T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z"}
    for image in known.images:
        shown = prediction(regions[image.id], image, names)
        mine = {"id": 5, "completed_by": "a@b.c", "result": shown["result"], **stamp}
        data = task_data(image, f"/data/local-files/?d=x/{image.file_name}")
        predictions = [{**shown, "id": 9, **stamp}]
        made.append(
            {"id": image.id, "data": data, "predictions": predictions, "annotations": [mine]}
        )
    return made


def write_inputs(folder: Path) -> None:
    """Write their seeds below a folder."""
    known = masks()
    for name in ("images", "salicon", "salicon-mat", "journal", "masks", "osie"):
        (folder / name).mkdir()
    rng = np.random.default_rng(1)
    picture = Image.fromarray(rng.integers(0, 255, (30, 40), dtype=np.uint8))
    for where in ("images", "journal", "masks"):
        for image in known.images:
            picture.save(folder / where / image.file_name)
    for suffix in ("png", "jpg", "bmp", "tiff", "webp"):
        picture.save(folder / f"picture.{suffix}")
    known.write(folder / "masks" / "m.json")
    known.write(folder / "journal" / "m.json")
    review = Review(folder / "journal" / "m.json")
    review.do(review.editor.label(1, "text"))
    review.do(review.editor.label(2, "food"))
    review.undo()
    description = {"name": "a", "px_per_degree": 20.0, "simulated": False}
    (folder / "images" / "dataset.json").write_text(json.dumps(description))
    frame = pd.DataFrame(
        {"image": ["1.png", "2"], "subject": [1, 2], "x": [1.0, 2], "y": [3, 4.5]}
    ).assign(duration_ms=[100, 200])
    frame.to_csv(folder / "t.csv", index=False)
    frame.to_csv(folder / "t.tsv", index=False, sep="\t")
    frame.to_parquet(folder / "t.parquet")
    scan = {"fix_x": np.array([1.0, 2.0]), "fix_y": np.array([3.0, 4.0])}
    scan["fix_duration"] = np.array([100.0, 200.0])
    osie = {"fixations": [{"img": f"{k}.png", "subjects": [scan, scan]} for k in (1, 2)]}
    savemat(folder / "osie" / "fixations.mat", osie)
    savemat(folder / "a.mat", {"map": np.eye(5), "s": {"t": "x"}}, do_compression=True)
    np.save(folder / "a.npy", np.eye(5))
    with h5py.File(folder / "a.h5", "w") as file:
        file.create_dataset("map", data=np.eye(5), compression="gzip")
    coco = "COCO_train2014_000000000009"
    for name in ("salicon", "salicon-mat"):
        picture.save(folder / name / f"{coco}.jpg")
    entry = {"id": 9, "file_name": f"{coco}.jpg", "height": 30, "width": 40}
    salicon = {"images": [entry], "annotations": [{"image_id": 9, "fixations": [[3, 4], [5, 6]]}]}
    (folder / "salicon" / "fixations_train2014.json").write_text(json.dumps(salicon))
    gaze = [{"fixations": np.array([[1, 2], [3, 4]])}, {"fixations": np.array([[5, 6]])}]
    savemat(folder / "salicon-mat" / f"{coco}.mat", {"resolution": [30, 40], "gaze": gaze})
    (folder / "pysaliency").mkdir()
    write_pysaliency(folder / "pysaliency", _stimuli(folder / "images"), known.fixations)
    for name in ("Data Viewer", "EyeLink .asc", "Tobii Studio", "Gazepoint, all gaze", "BIDS"):
        CASES[name].write(folder)
    moves = [f"1.png,{k // 90},{k % 90 * 4},{10 + k // 30},{20 + k % 3}" for k in range(180)]
    (folder / "samples.csv").write_text("\n".join(("image,subject,time,x,y", *moves)))
    (folder / "zipped").mkdir()
    with zipfile.ZipFile(folder / "zipped" / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        for k in range(3):
            file.writestr(f"in/{k}.txt", f"{k}" * 200)
    for name, write in WRITERS.items():
        (folder / name).mkdir()
        write(folder / name)
    (folder / "tasks.json").write_text(json.dumps(tasks()))
    export_masks(known, folder / "labelme", "labelme")
    export_masks(known, folder / "coco.json", "coco")
    export_masks(known, folder / "exported.json", "label-studio")
    export_masks(known, folder / "png", "png")
    export_masks(known, folder / "yolo", "yolo")
    content = known.to_dict()
    for entry in content["annotations"]:
        entry["category_id"] = 3
    export_masks(MaskSet.from_dict(content), folder / "osie-sr", "osie-sr")
    for path in (folder / "osie-sr").rglob("1.png"):
        values, _ = read_values(path, "seed")
        np.save(path.with_suffix(".npy"), values)


def _masks(path: Path) -> None:
    MaskSet.diagnose(path)
    found = MaskSet.read(path)
    list(suspicions(found, found.fixations))
    statistics(found, found.fixations)
    repair(found)
    merge([found, masks()])
    merge([masks(), found], rule="first")
    assert repr(found) and found._repr_html_()
    found.write(path.with_name("again.json"))
    assert MaskSet.read(path.with_name("again.json")).to_dict() == found.to_dict()


def _tasks(path: Path) -> None:
    """Do what `pull` and `push` do with a server's answer."""
    known, answered = masks(), parse_json(path.read_bytes(), "answer")
    project = Project(1, {"project": "u"}, label_config(known))
    pull(known, project, answered)  # type: ignore[arg-type]
    plan_push(known, answered, lambda image: "x")  # type: ignore[arg-type]
    from_project(project, answered)  # type: ignore[arg-type]


def _table(path: Path) -> None:
    read_gaze(path, _stimuli(path), 20)


def _samples(path: Path) -> None:
    with reading(path):
        read_table(path, {}, samples=True)
    for method in ("ivt", "idt") if find_spec("pymovements") else ():
        read_gaze(path, _stimuli(path), 20, TableFormat(detect=method))


def _pysaliency(path: Path) -> None:
    read_gaze(path.parent, _stimuli(path.parent), 20)


def _gaze(name: str, top: str = "") -> Callable[[Path], Any]:
    """Return what reads an export, or the folder ``top`` that it lies in."""
    pictures = [
        Stimulus(id=k, file_name=file, width=40, height=30)
        for k, file in enumerate(("beach.jpg", "küche.png"), start=1)
    ]

    def read(path: Path) -> None:
        source = next((one for one in path.parents if top and one.name == top), path)
        gaze = read_gaze(source, Stimuli(path.parent, tuple(pictures)), 20, CASES[name].settings)
        assert gaze.lines() and gaze.record()

    return read


def _published(name: str) -> Callable[[Path], Any]:
    def read(path: Path) -> None:
        root = next(parent for parent in path.parents if parent.name == name)
        with reading(root):
            PUBLISHED[name](root, SILENT).fixations()

    return read


PUBLISHED_FILES = {
    "mit1003": "DATA/ajs/i1.mat",
    "cat2000": "trainSet/allFixData.mat",
    "toronto": "eyetrackingdata/fixdens/origfixdata.mat",
    "figrim": "allImages_release.mat",
    "pascal-s": "datasets/fixations/pascalFix.mat",
    "nusef": "NUSEF_database/fix_data/10/subject07+10.fix",
    "coco-freeview": "COCOFreeView_fixations_trainval.json",
    "coco-search18": "coco_search18_fixations_TP_train_split1.json",
    "daemons": "eye_movement/SAC_train.csv",
    "dut-omron": "DUT-OMRON-eye-fixations/mat/im005.mat",
    "koehler": "ObserverData.mat",
    "mit300": "BenchmarkIMAGES/i1.jpg",
}


def _stimuli(folder: Path) -> Stimuli:
    return Stimuli(folder, tuple(masks().images))


def _import(source: str) -> Callable[[Path], Any]:
    def read(path: Path) -> None:
        top = next(parent for parent in (path, *path.parents) if parent.name == source)
        import_masks(top)
        if source != "osie-sr":  # whose files do not say that the images are PNG
            import_masks(top, like=masks())

    return read


def _yolo(path: Path) -> None:
    top = next(parent for parent in path.parents if parent.name == "yolo")
    import_masks(top, root=top.parent / "images", like=masks())


def _forced(form: Any) -> Callable[[Path], Any]:
    return lambda path: import_masks(path, form)


INPUTS = [
    Reader("mask file", "masks/m.json", _masks),
    Reader("dataset.json", "images/dataset.json", lambda path: read_description(path.parent)),
    *(
        Reader(f"table {suffix}", f"t.{suffix}", lambda path: read_gaze(path, _stimuli(path), 20))
        for suffix in ("csv", "tsv", "parquet")
    ),
    Reader("gaze samples", "samples.csv", _samples),
    Reader("Data Viewer", "fixations.txt", _gaze("Data Viewer")),
    Reader("EyeLink .asc", "asc/P01.asc", _gaze("EyeLink .asc", "asc")),
    Reader("Tobii Studio", "studio.tsv", _gaze("Tobii Studio")),
    Reader(
        *("Gazepoint", "gazepoint/P01_all_gaze.csv"),
        _gaze("Gazepoint, all gaze", "gazepoint"),
    ),
    Reader("BIDS sidecar", "bids/task-look_recording-eye1_physio.json", _gaze("BIDS", "bids")),
    Reader("BIDS screen", "bids/task-look_events.json", _gaze("BIDS", "bids")),
    *(
        Reader(f"BIDS {end}", f"bids/sub-P01/beh/sub-P01_task-look_{end}", _gaze("BIDS", "bids"))
        for end in (
            "events.tsv",
            "recording-eye1_physio.tsv.gz",
            "recording-eye1_physioevents.tsv.gz",
        )
    ),
    *(
        Reader(f"pysaliency {name}", f"pysaliency/{name}.hdf5", _pysaliency)
        for name in ("fixations", "stimuli")
    ),
    Reader("OSIE", "osie/fixations.mat", lambda path: read_fixations_mat(path, _stimuli(path))),
    Reader("SALICON", "salicon/fixations_train2014.json", lambda path: load_salicon(path.parent)),
    Reader(
        "SALICON .mat",
        "salicon-mat/COCO_train2014_000000000009.mat",
        lambda path: load_salicon(path.parent),
    ),
    Reader("zip archive", "zipped/a.zip", lambda path: unpack(path, path.with_name("a"))),
    *(
        Reader(name, f"{name}/{file}", _published(name), 0.3)
        for name, file in PUBLISHED_FILES.items()
    ),
    *(
        Reader(
            f"picture {suffix}",
            f"picture.{suffix}",
            lambda path: (image_size(path), read_picture(path), read_values(path, str(path))),
        )
        for suffix in ("png", "jpg", "bmp", "tiff")
    ),
    Reader("picture webp", "picture.webp", lambda path: (image_size(path), read_picture(path))),
    *(Reader(f"array {suffix}", f"a.{suffix}", read_arrays) for suffix in ("npy", "mat", "h5")),
    Reader("labelme", "labelme/1.json", _import("labelme")),
    Reader("COCO", "coco.json", _forced("coco")),
    Reader("Label Studio file", "exported.json", _forced("label-studio")),
    Reader("PNG masks", "png/1.png/1.unlabelled.png", _import("png")),
    Reader("YOLO outlines", "yolo/labels/1.txt", _yolo),
    Reader("YOLO categories", "yolo/data.yaml", _yolo),
    Reader("OSIE-SR .png", "osie-sr/SegmentationClass/2.png", _import("osie-sr")),
    Reader("OSIE-SR .npy", "osie-sr/SegmentationClass/1.npy", _import("osie-sr")),
    Reader("journal", "journal/.m.json.review", lambda path: Review(path.with_name("m.json"))),
    Reader("Label Studio server", "tasks.json", _tasks),
]
