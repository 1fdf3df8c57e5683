"""The public face: what it names, what it costs, and what it leaves alone."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from counting import Counting

import salprobe as sp
from salprobe.probe.layers.layers import select
from salprobe.probe.scoring.scorer import Scorer

ROOT = Path(__file__).parent.parent
TESTS = Path(__file__).parent


def test_the_stub_names_what_the_module_loads() -> None:
    stub = ast.parse((ROOT / "salprobe" / "__init__.pyi").read_text("utf-8"))
    typed = {
        alias.asname: f"salprobe.{node.module}"
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert sorted([*typed, "__version__"]) == sorted(sp.__all__) == dir(sp)
    for name, module in typed.items():
        public = getattr(importlib.import_module(module), name)
        assert name == "probe" or getattr(sp, name) is public


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(AttributeError, match="module 'salprobe' has no attribute 'prob'"):
        _ = sp.prob


def test_every_public_function_shows_an_example() -> None:
    without = [
        name
        for name in sp.__all__
        if inspect.isfunction(thing := getattr(sp, name)) and ">>>" not in (thing.__doc__ or "")
    ]
    assert without == []


def test_the_reference_documents_every_name() -> None:
    pages = "".join(path.read_text("utf-8") for path in (ROOT / "docs" / "api").glob("*.md"))
    documented = {line.rpartition(".")[2] for line in pages.splitlines() if line.startswith(":::")}
    assert documented == {*sp.__all__} - {"__version__", "progress"}


def loaded_by(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_importing_costs_nothing_and_reading_no_torch() -> None:
    assert not loaded_by("import salprobe as sp; sp.__version__") & {"numpy", "torch", "pandas"}
    reading = "import salprobe as sp; sp.Run, sp.MaskSet, sp.cluster, sp.load_dataset, sp.Interval"
    assert not loaded_by(reading) & {"torch", "textual", "typer"}


def test_probe_is_a_package_and_a_function(small_world: Path, tmp_path: Path) -> None:
    import salprobe.probe.runs.run as by_path

    assert sp.probe.runs.run is by_path
    run = sp.probe(small_world / "masks.json", model="gabor", root=small_world, out=tmp_path / "r")
    assert isinstance(run, sp.Run)
    assert repr(run) == "Run(r: gabor on masks.json: 6 images, 12 regions)"


def test_a_run_shows_its_table_in_a_notebook(small_world: Path, tmp_path: Path) -> None:
    masks = sp.load_masks(small_world / "masks.json").to_dict()
    masks["categories"][0]["name"] = "<b>head</b>"
    run = sp.probe(
        sp.MaskSet.from_dict(masks), model="gabor", root=small_world, out=tmp_path / "<i>run"
    )
    page = run._repr_html_()
    assert page.count("<table") == 1 and page.count("<tr>") == 3  # the head and two layers
    assert "&lt;b&gt;head" in page and "<b>" not in page and "<i>" not in page
    figure = sp.draw_table(run, tmp_path / "table.png")
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_library_calls_are_silent_unless_asked(
    small_world: Path, tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    options = {"model": "gabor", "root": small_world, "out": tmp_path / "run"}
    heard = Counting()
    sp.probe(small_world / "masks.json", **options)
    sp.probe(small_world / "masks.json", **options, progress=heard)
    assert capfd.readouterr() == ("", "")
    assert heard.said == [f"{tmp_path / 'run'} is already complete; nothing to do"]
    options["out"] = tmp_path / "other"
    sp.probe(small_world / "masks.json", **options, progress=heard)
    again = ("comparing images", 6, 0)
    assert heard.tasks == [again, ("probing", 6, 0), ("statistics", 2, 0)]
    assert heard.steps == [6, 6, 2]


def test_the_callers_random_state_stays(
    gaze_world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(TESTS)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    states = torch.random.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = sp.load_model("squeezenet1_0", "random", seed=1)
    sp.train(
        sp.load_dataset(str(gaze_world)),
        sp.Recipe(epochs=1),
        tmp_path / "run",
        model=sp.Backbone("nets:small", input_size=(36, 48)),
    )
    assert torch.equal(torch.random.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()  # noqa: NPY002
    again = sp.load_model("squeezenet1_0", "random", seed=1)
    assert first.weights.sha256 == again.weights.sha256
    assert first.weights.sha256 != sp.load_model("squeezenet1_0", "random", seed=2).weights.sha256


def test_the_callers_network_stays_where_and_as_it_is() -> None:
    model = sp.load_model("squeezenet1_0", "random", input_size=(64, 64))
    weight = next(one for one in model.network.parameters() if one.ndim == 4 and one.shape[1] > 1)
    before = (weight.data_ptr(), weight.stride(), weight.device)
    layers = select(model.layers(), ["features.3"])
    with Scorer(model, layers, torch.device("cpu"), "fp32") as scorer:
        assert not any(module._forward_hooks for module in model.network.modules())
        assert scorer.score([]) == []
    with Scorer(model, layers, torch.device("meta"), "fp32"):
        pass
    assert (weight.data_ptr(), weight.stride(), weight.device) == before
    assert not any(module._forward_hooks for module in model.network.modules())


def test_options_are_checked_when_they_are_built() -> None:
    for options, said in (
        ({"precision": "fp8"}, "precision 'fp8': expected 'fp32' or 'bf16'"),
        ({"batch_size": 0}, "batch size 0: expected 1 or more"),
        ({"workers": -1}, "workers -1: expected 1 or more"),
    ):
        with pytest.raises(sp.InputError, match=said):
            sp.Execution(**options)


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        *((sp.Execution, {"batch_size": value}) for value in ("3", 1.5, True, float("nan"))),
        *((sp.Execution, {"workers": value}) for value in ("3", 1.5, True, 0)),
        *((sp.Execution, {"device": value}) for value in (None, 3)),
        *((sp.Backbone, {"model": value}) for value in (None, 3, b"vgg16")),
        *(
            (sp.Backbone, {"input_size": value})
            for value in (64, "64x64", (64,), (-1, 5), (64.5, 64))
        ),
        *((sp.Backbone, {"layer": value}) for value in (1, True)),
        *((sp.Recipe, {"tune": value}) for value in (-1, "ALL", {}, 1.5, None)),
        *((sp.Recipe, {"seed": value}) for value in (-1, "all", None, True)),
        *((sp.Recipe, {"epochs": value}) for value in ("3", 1.5, True, float("inf"))),
        *((sp.Recipe, {"rate": value}) for value in ("fast", -1.0, float("nan"))),
        *((sp.Recipe, {"loss": value}) for value in (b"nss", 3, "mse")),
    ],
)
def test_odd_values_are_refused_in_a_line(kind: type, options: dict) -> None:
    with pytest.raises(sp.InputError) as error:
        kind(**options)
    assert "\n" not in str(error.value) and "expected" in str(error.value)


def test_nothing_is_written_for_an_odd_seed(small_world: Path, tmp_path: Path) -> None:
    for seed in (-1, "a", 1.5):
        with pytest.raises(sp.InputError, match="expected a whole number, 0 or more"):
            sp.probe(small_world / "masks.json", model="gabor", out=tmp_path / "r", seed=seed)
    assert not (tmp_path / "r").exists()


def test_one_pattern_of_layers_may_stand_alone(small_world: Path, tmp_path: Path) -> None:
    masks = small_world / "masks.json"
    run = sp.probe(masks, model="gabor", layers="log_*", root=small_world, out=tmp_path / "r")
    assert [layer.name for layer in run.layers] == ["log_gabor"]


def test_the_signature_of_the_package_is_the_functions() -> None:
    assert list(inspect.signature(sp.probe).parameters)[:3] == ["masks", "model", "layers"]


def test_names_from_files_cannot_command_a_terminal(small_world: Path, tmp_path: Path) -> None:
    content = sp.load_masks(small_world / "masks.json").to_dict()
    content["info"]["salprobe"]["dataset"] = "a\x1b[31m\nb"
    content["categories"][0]["name"] = "\x1b]0;head"
    masks = sp.MaskSet.from_dict(content)
    run = sp.probe(masks, model="gabor", root=small_world, out=tmp_path / "r")
    for shown in (repr(masks), masks._repr_html_(), repr(run), run._repr_html_()):
        assert "\x1b" not in shown
    assert "a\\x1b[31m\\nb" in repr(masks)


def test_a_picture_is_asked_for() -> None:
    with pytest.raises(sp.InputError, match="not a saliency model; expected gbvs"):
        sp.saliency_map("vgg16", np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(sp.InputError, match=r"expected a picture, uint8 .*, got float64 \(4, 4\)"):
        sp.saliency_map("bms", np.zeros((4, 4)))
