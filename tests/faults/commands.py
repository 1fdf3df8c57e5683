"""Every command that writes, on toy data, with what its folder may look like half-way."""

from __future__ import annotations

import hashlib
import json
import shlex
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

_BOXES = ((2, 4, 18, 22), (26, 8, 18, 26))


def make_world(folder: Path) -> None:
    """Write what the commands work on: pictures, gaze, masks, a second annotator, scenes."""
    rng = np.random.default_rng(2)
    rows, scenes = ["image,subject,x,y"], ["image,scene"]
    images, annotations = [], []
    (folder / "pictures").mkdir()
    for number in range(1, 9):
        name = f"{number}.png"
        picture = rng.integers(40, 90, (40, 48, 3), dtype=np.uint8)
        for place, (left, top, width, height) in enumerate(_BOXES):
            picture[top : top + height, left : left + width, place] += 100 + 5 * number
            x, y = left, top
            corners = [x, y, x + width, y, x + width, y + height, x, y + height]
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1 + (place + number) % 2,
                    "segmentation": [[float(one) for one in corners]],
                    "bbox": [float(x), float(y), float(width), float(height)],
                    "area": float(width * height),
                    "iscrowd": 0,
                }
            )
            for subject in range(5):
                x, y = left + rng.integers(1, width - 1), top + rng.integers(1, height - 1)
                rows.append(f"{name},{subject},{x},{y}")
        Image.fromarray(picture).save(folder / "pictures" / name)
        images.append({"id": number, "file_name": name, "width": 48, "height": 40})
        scenes.append(f"{name},{'in' if number % 2 else 'out'}")
    (folder / "pictures" / "fixations.csv").write_text("\n".join(rows))
    (folder / "pictures" / "dataset.json").write_text('{"name": "toy", "px_per_degree": 8.0}')
    (folder / "scenes.csv").write_text("\n".join(scenes))
    parts = ["train", "train", "train", "train", "validation", "validation", "test", "test"]
    split = [f"{number}.png,{part}" for number, part in enumerate(parts, start=1)]
    (folder / "split.csv").write_text("\n".join(["image,split", *split]))
    names = ("person head", "text", "unlabelled")
    content = {
        "info": {"salprobe": {"format": 1, "px_per_degree": 8.0, "dataset": "toy"}},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for number, name in enumerate(names, 1)],
    }
    _write_json(folder / "masks.json", content)
    annotations[0]["category_id"] = annotations[3]["category_id"] = 3
    _write_json(folder / "second.json", content)
    annotations[0]["area"] = 1.0
    _write_json(folder / "crooked.json", content)
    bad = folder / "spoilt"
    bad.mkdir()
    for path in (folder / "pictures").iterdir():
        (bad / path.name).write_bytes(path.read_bytes())
    (bad / "3.png").write_bytes(b"not a picture")


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")))


@dataclass(frozen=True)
class Command:
    """A command that writes.

    Attributes
    ----------
    name : str
    does : str or callable
        A command line, or a call that is made as one of `annotate`'s commands.
    writes : tuple of str
        Files and folders that it writes; a message names one of them.
    before : tuple of (str or callable)
        What was done before, in the same folder.
    unfinished : tuple of str
        Patterns of files that may be there and readable, but not as in the end, until the same
        command is given again.
    """

    name: str
    does: str | Callable[[], None]
    writes: tuple[str, ...]
    before: tuple[str | Callable[[], None], ...] = ()
    unfinished: tuple[str, ...] = ()

    @property
    def program(self) -> str:
        """Which program prints its messages."""
        return "annotate" if callable(self.does) else self.does.split()[0]


def run_line(does: str | Callable[[], None]) -> None:
    """Run a command line in this process, or a call as a command line runs it; never returns."""
    import sys

    from salprobe.terminal.app import new_app, run_app

    if callable(does):
        app = new_app("A call.")
        app.command("call")(lambda: does())
        app.command("other")(lambda: None)
        sys.argv = ["annotate", "call"]
        run_app(app, "annotate")
    else:
        from salprobe.annotate.cli.main import main as annotate
        from salprobe.probe.cli.main import main as probe

        sys.argv = shlex.split(does)
        {"annotate": annotate, "probe": probe}[sys.argv[0]]()


def _review(steps: int = 3) -> None:
    """Label regions, undo, save, and go on, as the review in the terminal does."""
    from salprobe.annotate.review.journal import Review, alone

    path = Path("second.json")
    with alone(path):
        review = Review(path)
        labels = [(1, "person head"), (4, "text"), (2, "unlabelled")][:steps]
        for number, name in labels:
            if review.editor.category(review.editor.regions[number]) != name:
                review.do(review.editor.label(number, name))
        review.save()
        if review.editor.regions[5].note != "done":
            review.do(review.editor.set(5, "note", "draft"))
            review.undo()
            review.do(review.editor.set(5, "note", "done"))
        review.save()


def _interrupted(line: str, after: int) -> None:
    """Run a command line whose process stops after some of its images were written."""
    import os

    from salprobe.probe.runs.partial import Partial
    from salprobe.probe.training import trainer

    left = after

    def counted(real: Callable) -> Callable:
        def call(*arguments: object, **options: object) -> None:
            nonlocal left
            real(*arguments, **options)
            left -= 1
            if not left:
                os._exit(0)

        return call

    Partial.write = counted(Partial.write)  # type: ignore[method-assign]
    trainer.write_checkpoint = counted(trainer.write_checkpoint)
    run_line(line)


def _publish() -> None:
    """Put what `_download` downloads where a server finds it."""
    for name, content in _TOY.items():
        Path("published", name).parent.mkdir(parents=True, exist_ok=True)
        Path("published", name).write_bytes(content)


def _download() -> None:
    """Download a small dataset from a server in this process."""
    from server import serving

    from salprobe.datasets.sources.description import Description
    from salprobe.datasets.sources.fetch import download
    from salprobe.datasets.sources.osie import OSIE

    class Toy(Description):
        def files(self) -> dict[str, str]:
            return {name: hashlib.sha256(content).hexdigest() for name, content in _TOY.items()}

    with serving(Path("published")) as (address, _):
        download(Toy(**{**vars(OSIE), "name": "toy"}), Path("toy"), address)


def _archive() -> None:
    """Put an archive and a table where `_fetch_card` finds them."""
    Path("archives").mkdir(exist_ok=True)
    Path("archives", "table.csv").write_bytes(b"a,b")
    with zipfile.ZipFile(Path("archives", "pictures.zip"), "w") as file:
        for k in range(3):
            file.writestr(zipfile.ZipInfo(f"in/{k}.txt"), f"picture {k}" * 500)


def _fetch_card() -> None:
    """Fetch the files of a card from a folder."""
    from salprobe.datasets.catalogue.cards import Card, PublishedFile
    from salprobe.datasets.sources.published import fetch_published

    files = tuple(PublishedFile(name=name) for name in ("pictures.zip", "table.csv"))
    card = Card(name="toy", title="Toy", citation="c", task="t", files=files)
    fetch_published(card, Path("card"), "archives")


def _share() -> None:
    """Show pictures to the local Label Studio, whose secret is made, without starting it."""
    from salprobe.annotate.labelstudio.server import LocalServer

    server = LocalServer(Path("server").resolve(), Path("venv"))
    server.share(Path("pictures"), [Path("pictures/1.png"), Path("pictures/2.png")])


_TOY = {"stimuli/1.jpg": b"picture" * 4000, "eye/fixations.mat": b"gaze" * 10}
_TRUST = "--trust nets:small"
_REVIEWED = ("second.json", ".second.json.review")
_SMALL = "--input-size 32x40 --device cpu --workers 1"
_RUN = f"probe run -m masks.json --root pictures --fixations pictures/fixations.csv {_SMALL}"
_RUN += " --model nets:small --layers one.*,three.* --batch-size 3"
_FIT = f"--model nets:small {_SMALL} --epochs 2 --batch-size 2 --rate 0.05"
_MASKS = "-m masks.json --masks-root pictures"
_TRAIN = f"probe train pictures --split split.csv --tune 1 {_FIT} -o trained"
_RUN_TRAINED = f"probe {_TRUST} run -m masks.json --root pictures {_SMALL} --model trained"
_RUN_TRAINED += " --fixations pictures/fixations.csv --layers three.1,readout -o run"
_TRAIN_WIDE = (
    f"probe train pictures --split split.csv --model nets:wide {_SMALL} --epochs 1 -o trained"
)
_RUN_WIDE = _RUN_TRAINED.replace(_TRUST, "--trust nets:wide")
_OLD_RUN = f"{_RUN} --seed 3 -o run"
_POPOUT = "annotate popout -o popout -n 2 --size 200x150 --items 4 --layout grid"
_MAPS = "probe maps pictures --models spectral,nets:reddish -o maps"
_EXPLAIN = "probe explain nets:small masks.json --root pictures --layers three.* -o explained"
_EXPLAIN += " --input-size 32x40 --device cpu --fixations pictures/fixations.csv"
_RUN_BEGUN = ("run/run.json", "run/*.partial.npy", "run/journal.*.jsonl", "run/shuffled.npy")
_SLICED = f"{_RUN} --by order:1,2+"
_SLICES = tuple(f"run/{name}.parquet" for name in ("slices", "looks", "by_shares"))
_FITTING = (
    "train.json",
    "steps.csv",
    "epochs.csv",
    "checkpoint.pt",
    "best.*",
    "last.*",
    "test.csv",
)


def _fitting(folder: str) -> tuple[str, ...]:
    return tuple(f"{folder}/{name}" for name in (*_FITTING, "readout.*"))


def _export(form: str, target: str, before: tuple[str, ...] = ()) -> Command:
    root = " --root pictures" if form in ("labelme", "label-studio", "pysaliency") else ""
    writes = (target, f"{Path(target).stem}.xml")
    line = f"annotate export masks.json --format {form} -o {target}{root}"
    return Command(f"export {form}", line, writes, before)


COMMANDS = [
    Command("fetch sample", "annotate fetch sample --root sample", ("sample",)),
    Command(
        "gaze",
        "annotate gaze pictures/fixations.csv --picture g.png -o g.csv",
        ("g.png", "g.csv"),
    ),
    Command("cluster", "annotate cluster pictures -o regions.json", ("regions.json",)),
    Command(
        "cluster over an older file",
        "annotate cluster pictures --min-fixations 3 -o regions.json",
        ("regions.json",),
        ("annotate cluster pictures -o regions.json",),
    ),
    Command("check --fix", "annotate check crooked.json --root pictures --fix m.json", ("m.json",)),
    Command("stats --figure .png", "annotate stats masks.json --figure s.png", ("s.png",)),
    Command("stats --figure .pdf", "annotate stats masks.json --figure s.pdf", ("s.pdf",)),
    Command("agree", "annotate agree masks.json second.json -o d.json", ("d.json",)),
    Command(
        "merge over its own source",
        "annotate merge masks.json second.json -o second.json",
        ("second.json",),
    ),
    Command("split by image", "annotate split masks.json -o parts", ("parts",)),
    Command("split by category", "annotate split masks.json --by category -o parts", ("parts",)),
    _export("labelme", "made"),
    _export("osie-sr", "made", ("annotate export masks.json --format png -o other",)),
    _export("png", "made"),
    _export("coco", "made.json", ("annotate export second.json --format coco -o made.json",)),
    _export("label-studio", "made.json"),
    _export("pysaliency", "made"),
    _export("yolo", "made"),
    Command(
        "import labelme",
        "annotate import made --like masks.json -o back.json",
        ("back.json",),
        ("annotate export masks.json --format labelme -o made --root pictures",),
    ),
    Command(
        "import as osie-sr",
        "annotate import masks.json --format coco -o osie-sr",
        ("data",),
    ),
    Command("popout", f"{_POPOUT} --sheet sheet.png", ("popout", "sheet.png")),
    Command(
        "popout over older arrays",
        f"{_POPOUT} --seed 1 --sheet sheet.jpg",
        ("popout", "sheet.jpg"),
        (f"{_POPOUT} --sheet sheet.jpg",),
    ),
    Command("review", _review, _REVIEWED, (), _REVIEWED),
    Command(
        "review, second day",
        _review,
        _REVIEWED,
        (partial(_review, 1),),
        _REVIEWED,
    ),
    Command("run", f"{_RUN} -o run", ("run",), (), _RUN_BEGUN),
    Command(
        "run, resumed",
        f"{_RUN} -o run",
        ("run",),
        (partial(_interrupted, f"{_RUN} -o run", 1),),
        _RUN_BEGUN,
    ),
    Command("run --by", f"{_SLICED} -o run", ("run",), (), (*_RUN_BEGUN, *_SLICES)),
    Command(
        "run --by, resumed",
        f"{_SLICED} -o run",
        ("run",),
        (partial(_interrupted, f"{_SLICED} -o run", 1),),
        (*_RUN_BEGUN, *_SLICES),
    ),
    Command("figure --by", "probe figure run --by -o s.png", ("s.png",), (f"{_SLICED} -o run",)),
    Command("run, complete", f"{_RUN} -o run", ("run",), (f"{_RUN} -o run",)),
    Command(
        "run with a bad image",
        f"{_RUN} --root spoilt --skip-bad -o run".replace("--root pictures ", ""),
        ("run",),
        (),
        _RUN_BEGUN,
    ),
    Command(
        "fetch by download",
        _download,
        ("toy",),
        (_publish,),
    ),
    Command("fetch of a card", _fetch_card, ("card",), (_archive,), ("card/fetched.json",)),
    Command("images shared with Label Studio", _share, ("server",)),
    Command(
        "merge of runs",
        "probe merge one two -o whole",
        ("whole",),
        (
            "annotate split masks.json --parts one=1,two=1 -o parts",
            *(
                f"probe run -m parts/masks-{name}.json --root pictures {_SMALL} --model nets:small "
                f"--layers one.*,three.* -o {name}"
                for name in ("one", "two")
            ),
        ),
    ),
    Command(
        "dissect",
        f"probe dissect masks.json --root pictures {_SMALL} --model nets:small --layers three.* "
        "-o dissected",
        ("dissected",),
        (),
        ("dissected/dissection.json", "dissected/unfinished.safetensors", "dissected/*.csv"),
    ),
    Command(
        "ablate",
        "probe --trust nets:wide ablate run --draws 1 --device cpu -o ablated",
        ("ablated",),
        (_TRAIN_WIDE, _RUN_WIDE),
        ("ablated/ablation.json", "ablated/unfinished.safetensors", "ablated/changes.csv"),
    ),
    Command(
        "unit",
        f"probe {_TRUST} unit run three.1:2 --patches 2 --device cpu -o sheets",
        ("sheets",),
        (_OLD_RUN,),
        ("sheets/*.png",),
    ),
    Command(
        "explain",
        _EXPLAIN,
        ("explained",),
        (),
        ("explained/explain.json", "explained/*.partial.npy", "explained/*.csv", "explained/*.npy"),
    ),
    Command(
        "figure of an explanation",
        f"probe {_TRUST} figure explained -o rebuilt.png",
        ("rebuilt.png",),
        (_EXPLAIN,),
    ),
    Command("report", f"probe {_TRUST} report run -o site", ("site",), (_OLD_RUN,)),
    Command(
        "report --single",
        f"probe {_TRUST} report run -o one.html --single",
        ("one.html",),
        (_OLD_RUN,),
    ),
    Command("figure", f"probe {_TRUST} figure run -o units.png", ("units.png",), (_OLD_RUN,)),
    Command(
        "compare --figure",
        f"probe {_TRUST} compare run other --unit three.1:2 --images 2 --figure c.png",
        ("c.png",),
        (_OLD_RUN, f"{_RUN} -o other"),
    ),
    Command(
        "suggest",
        "probe suggest second.json --root pictures --model nets:small --layer three.1 -o s.json "
        "--input-size 32x40 --device cpu",
        ("s.json",),
    ),
    Command("maps npy", _MAPS, ("maps",), (), ("maps/*/maps.jsonl",)),
    Command("maps png", f"{_MAPS} --format png", ("maps",), (), ("maps/*/maps.jsonl",)),
    Command("maps hdf5", f"{_MAPS} --format hdf5", ("maps",), (), ("maps/.*.part",)),
    Command(
        "maps hdf5 over older ones",
        f"{_MAPS} --format hdf5",
        ("maps",),
        ("probe maps pictures --models spectral -o maps --format hdf5",),
        ("maps/.*.part",),
    ),
    Command(
        "probe popout",
        "probe popout -m popout/popout.json --models spectral,nets:small --device cpu -o found "
        "--figure f.png",
        ("found", "f.png"),
        (_POPOUT,),
        ("found/run.json",),
    ),
    Command(
        "fields",
        "probe fields nets:small pictures --layers one.1 --best 2 --noise 8 --input-size 32 "
        "--device cpu --most 2 -o seen",
        ("seen",),
        (),
        ("seen/fields.json",),
    ),
    Command(
        "score --figure",
        "probe score pictures --models spectral,centre --figure s.png",
        ("s.png",),
    ),
    Command("score .csv", "probe score pictures --models spectral,centre -o s.csv", ("s.csv",)),
    Command(
        "score .parquet",
        "probe score pictures --models spectral,centre -o s.parquet",
        ("s.parquet",),
    ),
    Command(
        "convert",
        "probe convert trained/best.safetensors --model nets:small -o w.safetensors",
        ("w.safetensors",),
        (_TRAIN,),
    ),
    Command("train", _TRAIN, ("trained",), (), _fitting("trained")),
    Command(
        "train, resumed",
        _TRAIN,
        ("trained",),
        (partial(_interrupted, _TRAIN, 1),),
        _fitting("trained"),
    ),
    Command(
        "train for scenes",
        f"probe train pictures --task scenes --scenes scenes.csv --min-images 2 {_FIT} -o trained",
        ("trained",),
        (),
        _fitting("trained"),
    ),
    Command(
        "output",
        f"probe {_TRUST} output run --root pictures",
        ("run",),
        (_TRAIN, _RUN_TRAINED),
    ),
    Command(
        "sweep",
        f"probe sweep pictures --split split.csv {_MASKS} --tune 0,1 {_FIT} -o swept",
        ("swept",),
        (),
        (*_fitting("swept/*"), *(f"swept/tune-*/{name}" for name in _RUN_BEGUN)),
    ),
    Command(
        "tasks",
        f"probe tasks pictures --scenes scenes.csv --min-images 2 {_MASKS} {_FIT} -o both",
        ("both",),
        (),
        (*_fitting("both/*"), *(f"both/{name}".replace("/run/", "/run-*/") for name in _RUN_BEGUN)),
    ),
]
