"""Bad input: one line, exit code 2, no traceback, nothing written."""

import importlib
import json
import sys
from pathlib import Path

import pytest
import torch
import torchvision

from salprobe.datasets.masks.mask_set import MaskSet

TESTS = Path(__file__).parent


def snapshot(folder: Path) -> dict:
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture):
    """Check that a command is refused with one line, and leaves everything as it was."""
    monkeypatch.chdir(tmp_path)

    def check(program: str, *arguments: object, says: str) -> None:
        before = snapshot(tmp_path)
        monkeypatch.setattr(sys, "argv", [program, *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            importlib.import_module(f"salprobe.{program}.cli.main").main()
        assert ended.value.code == 2
        printed = capsys.readouterr()
        lines = printed.err.strip().splitlines()
        assert len(lines) == 1, printed.err
        assert lines[0].startswith(f"{program}: ")
        assert says in lines[0]
        assert printed.out == ""
        assert snapshot(tmp_path) == before

    return check


def altered(small_world: Path, path: Path, change) -> Path:
    content = MaskSet.read(small_world / "masks.json").to_dict()
    change(content)
    path.write_text(json.dumps(content))
    return path


def test_masks(small_world: Path, tmp_path: Path, refused) -> None:
    def run(masks: object, says: str, *more: object) -> None:
        refused(
            *("probe", "run", "--masks", masks, "--root", small_world, "--model", "gabor", *more),
            says=says,
        )

    good = small_world / "masks.json"
    bad = tmp_path / "bad.json"
    run(tmp_path / "none.json", "none.json: no such file")
    run(tmp_path, "is a folder, expected a file")
    bad.write_bytes(b"")
    run(bad, "the file is empty")
    bad.write_bytes(good.read_bytes()[:-700])
    run(bad, "bad.json: not JSON (line 1")

    def two_points(content: dict) -> None:
        content["annotations"][4]["segmentation"] = [[1, 1, 2, 2]]

    def nan(content: dict) -> None:
        content["fixations"]["x"][2] = float("nan")

    def outside(content: dict) -> None:
        content["fixations"]["y"][2] = 72

    def text_id(content: dict) -> None:
        content["images"][0]["id"] = "1"

    def climbing(content: dict) -> None:
        content["images"][0]["file_name"] = "../../1.png"

    def larger(content: dict) -> None:
        content["images"][0]["width"] = 97

    for change, says in (
        (two_points, "annotations[4].segmentation[0]: polygon has 2 points, needs 3"),
        (nan, "fixations.x[2]: expected a whole number, got nan"),
        (outside, "fixations.y[2]: 72 is outside the image (0 to 71)"),
        (text_id, "images[0].id: expected a valid integer"),
        (climbing, "images[0].file_name: '../../1.png' is not a path below the image root"),
    ):
        run(altered(small_world, bad, change), says)
    run(good, "no such folder", "--root", tmp_path / "nowhere")
    run(good, "1.png: no such image", "--root", tmp_path)
    run(good, "1.png: no such image", "--root", TESTS)
    run(good, "--batch-size", "--batch-size", "many")
    run(good, "batch size 0", "--batch-size", "0")
    run(good, "'fp8' is not one of 'fp32', 'bf16'", "--precision", "fp8")
    run(good, "device 'abacus'", "--device", "abacus")
    run(good, "--input-size 'big'", "--input-size", "big")
    run(good, "no layer matches 'conv'", "--layers", "conv")
    run(good, "No such option: --colour", "--colour", "red")


def test_an_image_of_another_size_stops_the_run(small_world: Path, tmp_path: Path, command) -> None:
    def larger(content: dict) -> None:
        content["images"][0]["width"] = 97

    masks = altered(small_world, tmp_path / "masks.json", larger)
    done = command(
        *("probe", "run", "--masks", masks, "--root", small_world, "--model", "gabor"),
        *("--out", tmp_path / "run"),
        check=2,
    )
    assert "1.png: expected 97×72 pixels, got 96×72 (--skip-bad leaves it out)" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "run" / "scores.npy").exists()


def test_models_and_weights(small_world: Path, tmp_path: Path, refused) -> None:
    def run(model: str, says: str, *more: object) -> None:
        masks = small_world / "masks.json"
        refused(
            *("probe", "run", "--masks", masks, "--root", small_world, "--model", model, *more),
            says=says,
        )

    run("vgg61", "no model 'vgg61'")
    run("nowhere:net", "nowhere:net: ModuleNotFoundError")
    run("explained:folder", "explained:folder: is a saliency model, without layers")
    run("squeezenet1_0", "w.pth: no such file", "--weights", "w.pth")
    other = tmp_path / "other.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), other)
    run("squeezenet1_0", "other.pth: weights do not fit squeezenet1_0", "--weights", other)
    (tmp_path / "text.pth").write_text("hello")
    run("squeezenet1_0", "not a file of weights", "--weights", tmp_path / "text.pth")


def test_clustering(tmp_path: Path, small_world: Path, refused) -> None:
    refused(
        "annotate",
        "cluster",
        "nowhere",
        "-o",
        "x.json",
        says="nowhere: expected a data set (`annotate datasets` lists them), a folder",
    )
    refused("annotate", "cluster", small_world, "-o", "x.json", says="pixels per degree")
    with_scale = ("annotate", "cluster", small_world, "-o", "x.json", "--px-per-degree", 20)
    refused(*with_scale, says="no fixations.csv")
    table = tmp_path / "gaze.csv"
    table.write_text("image,subject,x,y\n1.png,1,5,5\n1.png,1,500,5\n")
    refused(*with_scale, "--fixations", table, says="row 2: the fixation (500, 5) px is outside")
    (tmp_path / "empty").mkdir()
    refused(*with_scale, "--fixations", tmp_path / "empty", says="holds no table (.csv, .tsv, .txt")
    refused(*with_scale, "--fixations", table, "--columns", "z=1", says="expected OURS=THEIRS")
    refused(*with_scale, "--fixations", table, "--columns", "x=gx", says="no column 'gx' for x")
    refused(*with_scale, "--method", "kmeans", says="not one of 'mean-shift', 'hdbscan', 'dbscan'")
    refused(*with_scale, "--unit", "inches", says="'--unit': 'inches' is not one of 'px', 'deg'")
    for command, option, known in (
        ("merge", "--rule", "'majority', 'first'"),
        ("split", "--by", "'image', 'category'"),
        ("import", "--format", "'labelme', 'osie-sr', 'coco', 'label-studio', 'png'"),
        ("export", "--format", "'labelme', 'osie-sr', 'coco', 'label-studio', 'png'"),
        ("pull", "--prefer", "'local', 'remote', 'newest'"),
    ):
        says = f"'{option}': 'x' is not one of {known}"
        refused("annotate", command, "m.json", "-o", "out", option, "x", says=says)
    refused(*with_scale, "--labels", tmp_path / "none.json", says="no such file")
    table.write_text("image,subject,x,y\n1.png,1,5,5\n")
    refused(
        *("annotate", "cluster", small_world, "-o", "no/such/x.json", "--px-per-degree", 20),
        *("--fixations", table),
        says="no/such/x.json: cannot be written",
    )
    refused("annotate", "fetch", "osi", says="no data set 'osi' in the catalogue")
    refused(
        "annotate", "fetch", "koehler", "--root", "o", says="comes by a form or login: get it at"
    )
    refused("annotate", "fetch", "osie", "--from", "nowhere", "--root", "o", says="no such folder")


def test_options_that_do_nothing(tmp_path: Path, small_world: Path, gaze_world, refused) -> None:
    masks = small_world / "masks.json"
    cluster = ("annotate", "cluster", gaze_world, "-o", "x.json")
    for option in (
        ("--px-per-degree", 10),
        ("--columns", "x=gx"),
        ("--unit", "deg"),
        ("--drop-invalid",),
        ("--fixations", gaze_world / "fixations.csv"),
    ):
        (tmp_path / "osie").mkdir(exist_ok=True)
        osie = ("annotate", "cluster", "osie", "--root", tmp_path / "osie", "-o", "x.json")
        refused(*osie, *option, says="osie has its own fixations and scale")
    refused(*cluster, "--root", small_world, says="is the images' folder itself")
    table = gaze_world / "fixations.csv"
    refused(
        *("annotate", "cluster", table, "-o", "x.json", "--fixations", table),
        says="is a table of fixations itself",
    )
    refused(*cluster, "--radius", 1, says="--radius: does nothing with --method mean-shift")
    hdbscan = (*cluster, "--method", "hdbscan")
    refused(*hdbscan, "--bandwidth", 1, says="--bandwidth: does nothing with --method hdbscan")
    refused(*cluster, "--columns", "x=a,x=b", says="one of our names occurs twice")
    split = ("annotate", "split", masks, "-o", "parts")
    refused(*split, "--by", "category", "--seed", 1, says="--seed: does nothing with --by category")
    refused(*split, "--parts", "a=1,a=2", says="a occurs twice")
    png = ("annotate", "export", masks, "-o", "out", "--format", "png")
    refused(*png, "--root", small_world, says="--root: does nothing with --format png")
    imported = ("annotate", "import", masks, "-o", "y.json", "--rename")
    refused(*imported, "text=txet", says="no category 'txet' to rename to")
    refused(*imported, "txet=text", says="no region has the category 'txet'")
    refused(*imported, "text=food,text=other", says="one of their names occurs twice")
    push = ("annotate", "push", masks, "--project", "abc")
    refused(*push, "--port", 1, says="--port: does nothing without --serve")
    refused(*push, "--serve", "--document-root", "/", says="--document-root: does nothing with")
    pull = ("annotate", "pull", "-o", "z.json", "--project", "abc")
    refused(*pull, "--serve", "--url", "http://x", says="--url: does nothing with --serve")


def test_runs(tmp_path: Path, refused) -> None:
    refused("probe", "show", tmp_path / "none", says="not a run folder (no run.json)")
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    refused("probe", "show", broken, says="run.json: not JSON")
    (broken / "run.json").write_text("{}")
    refused("probe", "show", broken, says="'format' is missing")
    refused("probe", "show", broken, "--format", "pdf", says="'pdf' is not one of")
    refused("probe", "compare", broken, broken, says="'format' is missing")
    complete = {
        **{"format": 1, "status": "complete", "layers": [], "categories": []},
        "parameters": {
            **{"model": "gabor", "weights": {"source": "none", "file": None}},
            **{"input_size": [9, 9], "seed": 0, "masks": ""},
        },
        **{"simulated": False, "annotator": None, "masks": None, "dataset": None},
        **{"images": 0, "regions": 0, "without_fixations": 0, "bad_images": []},
    }
    for key in complete:
        damaged = {name: value for name, value in complete.items() if name != key}
        (broken / "run.json").write_text(json.dumps(damaged))
        refused("probe", "show", broken, says=f"'{key}' is missing")
    (broken / "run.json").write_text(json.dumps({**complete, "layers": [{"name": "x"}]}))
    refused("probe", "show", broken, says="'layers.0.units' is missing")
    (broken / "run.json").write_text(json.dumps({**complete, "status": "odd"}))
    refused("probe", "show", broken, says="status: Input should be 'running' or 'complete'")
    (broken / "run.json").write_text(json.dumps(complete))
    refused("probe", "show", broken, says="scores.npy: no such file")
    refused("probe", "layers", "vgg61", says="no model 'vgg61'")
    refused("probe", "layers", "gabor", "--input-size", "0x4", says="expected HEIGHTxWIDTH")


PROBE_COMMANDS = (
    *("run", "show", "compare", "layers", "suggest", "popout", "score", "output"),
    *("train", "sweep", "tasks", "review"),
)
ANNOTATE_COMMANDS = (
    *("fetch", "cluster", "check", "stats", "agree", "merge", "split"),
    *("import", "export", "serve", "push", "pull", "popout", "review"),
)


def test_every_command_has_an_example(command) -> None:
    for program, names in (
        ("annotate", ANNOTATE_COMMANDS),
        ("probe", PROBE_COMMANDS),
    ):
        for name in names:
            assert f"Example: {program} {name}" in command(program, name, "--help").stdout
