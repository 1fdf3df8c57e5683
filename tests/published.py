"""Small data sets, built after the structures that their authors publish."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image
from scipy.io import savemat

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it sets an option of pandas that is deprecated
    import matio
    from matio.utils.matclass import MatlabContainerMap


def picture(path: Path, width: int, height: int, value: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (width, height), (value, 120, 60)).save(path)


def cells(items: list) -> np.ndarray:
    """Return a MATLAB cell array, 1 × n."""
    made = np.empty((1, len(items)), dtype=object)
    for k, item in enumerate(items):
        made[0, k] = item
    return made


def looks(*stops: tuple[float, float, int], noise: float = 0.5) -> np.ndarray:
    """Return raw gaze at 240 Hz that rests at (x, y) for some samples; between, 4 of a saccade."""
    rng = np.random.default_rng(3)
    parts, last = [], None
    for x, y, samples in stops:
        here = np.array([x, y], dtype=float)
        if last is not None:
            parts.append(last + (here - last) * np.linspace(0.2, 0.8, 4)[:, None])
        parts.append(here + rng.normal(0, noise, (samples, 2)))
        last = here
    return np.concatenate(parts)


def mit1003(root: Path) -> None:
    """Two pictures, two subjects; the name of a variable is 63 characters of its file's."""
    names = ("i1", "istatic_outdoor_street_with_a_name_that_is_longer_than_63_characters_p1")
    for name in names:
        picture(root / "ALLSTIMULI" / f"{name}.jpeg", 120, 90)
        for k, subject in enumerate(("ajs", "hp")):
            gaze = looks((60, 45, 60), (20.5, 30.5, 48), (100, 80 + k, 36))
            gaze = np.concatenate([gaze, np.full((20, 2), -1.0), looks((110, 20, 30))])
            data = {"DATA": {"eyeData": gaze, "eyeTrack": 1.0}, "ITI": 3.0, "filename": name}
            folder = root / "DATA" / subject
            folder.mkdir(parents=True, exist_ok=True)
            savemat(folder / f"{name}.mat", {name[:31]: data}, long_field_names=True)
    savemat(root / "DATA" / "ajs" / "shuff_stimnames.mat", {"shuff": np.array(["a", "b"])})


def cat2000(root: Path, keys: tuple[str, ...] = ("Action_001", "Action_002", "Art_001")) -> None:
    """Three pictures of two categories, two subjects; a model's map in the folder Output."""
    top = root / "trainSet"
    for name in ("Action/001", "Action/002", "Art/001"):
        picture(top / "Stimuli" / f"{name}.jpg", 48, 27)
        picture(
            top / "Stimuli" / name.split("/")[0] / "Output" / f"{name[-3:]}_SaliencyMap.jpg", 48, 27
        )

    def trial(k: int, who: str, points: list) -> np.ndarray:
        made = np.empty((1, 1), dtype=[("name", object), ("data", object)])
        made[0, 0] = (np.array([f"1-{k}-{who}.eye"]), np.array(points, dtype=float))
        return made

    content = {
        key: cells(
            [
                trial(k, "abc", [[1, 1], [10, 9 + k], [10, 9 + k], [1, 1], [np.nan, np.nan]]),
                trial(k, "xyz", [[48, 27], [49, 27], [0, 0]]),
            ]
        ).T
        for k, key in enumerate(keys)
    }
    matio.save_to_mat(
        str(top / "allFixData.mat"), {"allData": MatlabContainerMap(content)}, version="v7"
    )


def toronto(root: Path) -> None:
    """Twelve pictures, so that 2 is before 10."""
    top = root / "eyetrackingdata" / "fixdens"
    maps = []
    for number in range(1, 13):
        picture(top / "Original Image Set" / f"{number}.jpg", 20, 15)
        picture(top / "Density" / f"{number}.jpg", 20, 15)
        made = np.zeros((15, 20), dtype=np.uint8)
        made[number, 3] = made[number, 19] = 1
        maps.append(made)
    savemat(top / "origfixdata.mat", {"white": cells(maps)})


def figrim(root: Path) -> None:
    """A target that two of three subjects saw, and a filler that one saw."""
    picture(root / "Targets" / "kitchen" / "a.jpg", 100, 100)
    picture(root / "Fillers" / "kitchen" / "b.jpg", 100, 100)

    def seen(enc: Any, rec: Any, rec2: Any, answers: list[int]) -> dict:
        return {
            "trial": [1.0, 5.0, 9.0],
            "fixations": {"enc": np.array(enc), "rec": np.array(rec), "rec2": np.array(rec2)},
            "SDT": np.array(answers, dtype=float),
        }

    empty = np.empty((0, 0))
    never = {"trial": empty, "fixations": empty, "SDT": empty}
    target = [
        seen([[10.0, 20.0], [30.2, 40.7]], [[1.0, 1.0]], [[2.0, 2.0], [3.0, 3.0]], [4, 1, 1]),
        never,
        seen([[50.0, 60.0]], empty, empty, [4, 3, 3]),
    ]
    filler = [seen([[99.0, 0.0], [120.0, 5.0]], empty, empty, [2])]
    for file, name, users in (
        ("allImages_release.mat", "a.jpg", target),
        ("allImages_fillers.mat", "b.jpg", filler),
    ):
        entry = {"filename": name, "category": "kitchen", "userdata": struct_array(users)}
        savemat(root / file, {"allImages": struct_array([entry])})


def struct_array(entries: list[dict]) -> np.ndarray:
    """Return a MATLAB array of structures, 1 × n."""
    made = np.empty((1, len(entries)), dtype=[(name, object) for name in entries[0]])
    for k, entry in enumerate(entries):
        for name, value in entry.items():
            made[0, k][name] = value
    return made


def pascal_s(root: Path) -> None:
    """Three pictures, the last without a fixation; MATLAB's HDF5 has references to transposes."""
    top = root / "datasets"
    for number in (1, 2, 3):
        picture(top / "imgs" / "pascal" / f"{number}.jpg", 50, 40)
        picture(top / "masks" / "pascal" / f"{number}.jpg", 50, 40)
    (top / "fixations").mkdir(parents=True)
    tables = ([[1, 1, 1], [40, 50, 2]], [[5, 6, 12], [41, 6, 12]])  # rows (y, x, subject)
    with h5py.File(top / "fixations" / "pascalFix.mat", "w", userblock_size=512) as file:
        found = file.create_group("#refs#")
        made = [
            found.create_dataset(str(k), data=np.array(table, dtype=float).T)
            for k, table in enumerate(tables)
        ]
        empty = found.create_dataset("empty", data=np.array([0, 3], dtype=np.uint64))
        empty.attrs["MATLAB_empty"] = np.uint8(1)
        cell = file.create_dataset("fixCell", (1, 3), dtype=h5py.ref_dtype)
        for k, one in enumerate([*made, empty]):
            cell[0, k] = one.ref


def nusef(root: Path) -> None:
    """A tall and a wide picture, a segmentation whose photograph is not public, a misspelt one."""
    top = root / "NUSEF_database"
    picture(top / "stimuli" / "10.jpg", 384, 768)
    picture(top / "stimuli" / "11.jpg", 2048, 512)
    picture(top / "stimuli" / "3005.1.jpg", 40, 40)
    for folder, lines in (
        ("10", [(0.25, 130, 140), (0.1, 0, 0)]),
        ("11", [(0.3, 130, 140), (0.2, 65, 105)]),
        ("3005_0", [(0.3, 130, 140)]),
        ("2200", [(0.3, 130, 140)]),
    ):
        (top / "fix_data" / folder).mkdir(parents=True)
        rows = [
            f" 1 1 {k} 0 00:00:0{k}.100 {seconds} 0.02 1.5 {x} {y} 40 60 0 0 0"
            for k, (seconds, x, y) in enumerate(lines)
        ]
        text = "[Fix Segment]\r\nCOLS= seg fix\r\n" + "\r\n".join(rows) + "\r\n\r\n"
        path = top / "fix_data" / folder / f"subject07+{folder}.fix"
        path.write_bytes((text + "[Fix Segment Summary]\r\n9 9\r\n").encode())


def coco_images(root: Path) -> None:
    for folder in ("images/car", "images/cup", "coco_search18_images_TA/cup"):
        picture(root / folder / "000000000009.jpg", 1680, 1050)
    picture(root / "images" / "car" / "000000000012.jpg", 1680, 1050)


def trial(name: int, subject: int, points: list, **more: Any) -> dict:
    """Return a trial as COCO-FreeView and COCO-Search18 publish it."""
    return {
        **{"name": f"{name:012}.jpg", "subject": subject, "length": len(points)},
        **{"X": [x for x, _ in points], "Y": [y for _, y in points]},
        **{"T": [200 + 10 * k for k in range(len(points))], "split": "train", **more},
    }


def coco_freeview(root: Path) -> None:
    coco_images(root)
    trials = [
        trial(9, 1, [(840.0, 525.0), (3.4, 1.5)]),
        trial(12, 10, [(1680.0, 5)], split="valid"),
    ]
    (root / "COCOFreeView_fixations_trainval.json").write_text(json.dumps(trials))


def coco_search18(root: Path) -> None:
    coco_images(root)
    asked = {"task": "car", "correct": 1, "RT": 900, "bbox": [1, 2, 3, 4]}
    present = [trial(9, 1, [(840.0, 525.0)], condition="present", **asked)]
    present += [trial(12, 2, [(5, 6), (7, 8)], condition="present", **asked)]
    absent = [trial(9, 3, [(100.0, 200.0)], condition="absent", task="cup", correct=0)]
    for name, trials in (
        ("TP_train_split1", present[:1]),
        ("TP_validation_split1", present[1:]),
        ("TA_trainval", absent),
    ):
        (root / f"coco_search18_fixations_{name}.json").write_text(json.dumps(trials))


DAEMONS = """VP,trial,Img,x,y,fixdur,End,blinkFix,sticky,forced_fix,mask_shown,forced_end
1,1,F001.jpg,16,9,120,120,0,0,1,0,0
1,1,F001.jpg,16,9,130,250,0,0,1,0,0
1,1,F001.jpg,0.01,17.99,200,480,0,0,0,0,0
1,1,F001.jpg,NA,NA,NA,NA,1,0,0,0,0
2,1,F001.jpg,31.99,0.01,NA,480,1,0,0,0,1
2,1,F001.jpg,40,9,300,900,0,0,0,0,0
"""


def daemons(root: Path) -> None:
    picture(root / "flickr" / "F001.jpg", 1920, 1080)
    (root / "eye_movement").mkdir()
    (root / "eye_movement" / "SAC_train.csv").write_text(DAEMONS)


def dut_omron(root: Path) -> None:
    (root / "DUT-OMRON-eye-fixations" / "mat").mkdir(parents=True)
    for k, name in enumerate(("im005", "im010")):
        picture(root / "DUT-OMRON-image" / f"{name}.jpg", 40, 30)
        table = np.array([[40, 30 - k, 0], [0, 0, 1], [39, 29, 1], [5, 6, 4], [40, 3, 5]])
        savemat(root / "DUT-OMRON-eye-fixations" / "mat" / f"{name}.mat", {"s": table})


def koehler(root: Path) -> None:
    x = np.full((2, 11, 3), np.nan)
    y = x.copy()
    x[0, 9], y[0, 9] = [1, 405, 100], [1, 405, 50]
    x[1, 1, 0], y[1, 1, 0] = 20.6, 30.4
    for number in range(1, 12):
        picture(root / "Images" / f"image_r_{number}.jpg", 405, 405)
    names = ("freeview", "objsearch", "salview")
    both = {f"{name}_{axis}": data for name in names for axis, data in (("x", x), ("y", y))}
    savemat(root / "ObserverData.mat", both)


def mit300(root: Path) -> None:
    for number in (1, 2):
        picture(root / "BenchmarkIMAGES" / f"i{number}.jpg", 40, 30)


WRITERS: dict[str, Callable[[Path], None]] = {
    "mit1003": mit1003,
    "cat2000": cat2000,
    "toronto": toronto,
    "figrim": figrim,
    "pascal-s": pascal_s,
    "nusef": nusef,
    "coco-freeview": coco_freeview,
    "coco-search18": coco_search18,
    "daemons": daemons,
    "dut-omron": dut_omron,
    "koehler": koehler,
    "mit300": mit300,
}
