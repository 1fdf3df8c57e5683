"""Measure speed and memory; every figure is a ratio within this run, or states its unit.

`make bench` runs all; `python benchmarks/run.py scoring memory …` runs some. Needs OSIE and its
labels below SALPROBE_DATA. Weights are random, which costs the same.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from threadpoolctl import threadpool_limits

from salprobe.annotate.popout.arrays import Arrays, write_arrays
from salprobe.annotate.regions.cluster import cluster
from salprobe.annotate.regions.methods import mean_shift
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.osie import load_osie
from salprobe.probe.layers.layers import reading, select
from salprobe.probe.networks.device import Execution
from salprobe.probe.networks.load import Backbone, load_model
from salprobe.probe.runs.probing import probe
from salprobe.probe.saliency.classical.models import MODELS
from salprobe.probe.scoring.nss import Targets, region_nss
from salprobe.probe.training import trainer
from salprobe.probe.training.frozen import LIMIT, Frozen
from salprobe.probe.training.recipe import Recipe
from salprobe.probe.training.split import Split
from salprobe.probe.training.train import train

DATA = Path(os.environ.get("SALPROBE_DATA", ""))
GOALS = {
    "vgg16": 1.05,
    "resnet50": 1.15,
    "squeezenet1_0": 1.3,
    "timm:vit_small_patch14_dinov2": 1.05,
}
OSIE, LABELS = DATA / "osie", DATA / "labels" / "osie_sr.json"


def seconds(job: Callable[[], object], times: int = 3) -> float:
    """Return the shortest of several runs."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        job()
        found.append(time.perf_counter() - began)
    return min(found)


def part(n_images: int) -> MaskSet:
    """Return the first images of the labelled OSIE file, with all their regions."""
    content = MaskSet.read(LABELS).to_dict()
    content["images"] = content["images"][:n_images]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [a for a in content["annotations"] if a["image_id"] in kept]
    rows = [i for i, number in enumerate(content["fixations"]["image_id"]) if number in kept]
    content["fixations"] = {
        name: [values[i] for i in rows] for name, values in content["fixations"].items()
    }
    return MaskSet.from_dict(content)


def forward_pass(model: str, goal: float, precision: str = "fp32", n: int = 48) -> None:
    """(a) `probe run` against the bare forward pass: a fresh network each time, without set-up.

    The bare pass has its images in memory, also stops after the last layer, and reads nothing; of
    several batch sizes, the best counts. `probe run` has its default.
    """
    masks, size = part(n), (224, 224)
    layers = select(load_model(model, "random", input_size=size).layers(), [])

    def bare(batch: int) -> float:
        network = load_model(model, "random", input_size=size)
        images = torch.rand(n, 3, *size)
        began = time.perf_counter()
        channels_last = network.network.to(memory_format=torch.channels_last)
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16")
        with torch.inference_mode(), autocast, reading(channels_last, layers[-1:]) as forward:
            for some in images.split(batch):
                last = some.contiguous(memory_format=torch.channels_last)
                forward(last, lambda layer, maps: None)
        return time.perf_counter() - began

    def whole() -> float:
        with tempfile.TemporaryDirectory() as folder:
            run = probe(
                masks, root=OSIE, model=Backbone(model, "random", size), out=Path(folder) / "run",
                execution=Execution("cpu", None, precision),
            )  # fmt: skip
            return run.info.timings_s["batches"]

    best = min((2, 4, 8, 16), key=bare)
    pairs = [(bare(best), whole()) for _ in range(5)]  # alternating: the machine's speed drifts
    ratios = sorted(ours / theirs for theirs, ours in pairs)
    print(
        f"(a) probe run / bare forward pass, {model}, {len(layers)} layers, {n} images, "
        f"{precision}: {ratios[2]:.2f} (goal {goal}; of five, {ratios[0]:.2f} to "
        f"{ratios[-1]:.2f}), bare {min(pairs)[0] / n * 1e3:.1f} ms an image in batches of {best}"
    )


def scoring() -> None:
    """(b) Scoring one 512×28×28 layer of one image with five regions, three ways."""
    rng = np.random.default_rng(0)
    maps = torch.relu(torch.from_numpy(rng.normal(size=(16, 512, 28, 28)).astype(np.float32)))
    maps = maps.contiguous(memory_format=torch.channels_last)
    size = (600, 800)
    regions = []
    for _ in range(5):
        pixels = np.unique(np.stack([rng.integers(0, 800, 25), rng.integers(0, 600, 25)]), axis=1)
        regions.append((pixels[0], pixels[1]))

    def closed_form() -> torch.Tensor:
        return region_nss(maps, Targets([regions] * 16, [size] * 16))[: len(regions)]

    def resized() -> torch.Tensor:
        scores = torch.empty(len(regions), 512)
        for start in range(0, 512, 64):  # all 512 at once need several GB
            chunk = torch.nn.functional.interpolate(
                maps[:1, start : start + 64], size, mode="bilinear", align_corners=False
            )[0]
            mean, sd = chunk.mean((1, 2)), chunk.std((1, 2), correction=0)
            for row, (x, y) in enumerate(regions):
                scores[row, start : start + 64] = (chunk[:, y, x].mean(1) - mean) / sd
        return scores

    from scipy.ndimage import zoom

    masks = []
    for x, y in regions:
        mask = np.zeros(size)
        mask[y, x] = 1
        masks.append(mask)

    def loop(units: int = 8) -> np.ndarray:
        """As the authors do: for every unit and region, resize, min–max, standardise, average."""
        scores = np.empty((len(regions), units))
        for unit in range(units):
            for row, mask in enumerate(masks):
                small = maps[0, unit].numpy()
                large = zoom(
                    small, (size[0] / 28, size[1] / 28), order=1, grid_mode=True, mode="nearest"
                )
                large = (large - large.min()) / (large.max() - large.min())
                large = (large - large.mean()) / large.std()
                scores[row, unit] = (large * mask).sum() / mask.sum()
        return scores

    ours = seconds(closed_form, 5) / 16
    in_torch = seconds(resized, 2)
    in_numpy = seconds(loop, 1) * 512 / 8
    expected = closed_form()
    difference = (expected - resized()).abs().max()
    by_loop = np.abs(expected[:, :8].numpy() - loop()).max()
    print(
        f"(b) closed form {ours * 1e3:.2f} ms; resize-then-NSS in torch is "
        f"{in_torch / ours:.0f} times slower (goal 100), a NumPy loop "
        f"{in_numpy / ours:.0f} times (goal 1000); "
        f"largest difference {difference:.1e} and {by_loop:.1e}"
    )


def training(n: int = 64, epochs: int = 15) -> None:
    """(i) Training VGG-16's readout and last layers, the frozen part kept or computed anew."""
    dataset = load_osie(OSIE)
    ids = [stimulus.id for stimulus in dataset.stimuli[:n]]
    split = Split(train=tuple(ids[: n * 3 // 4]), validation=tuple(ids[n * 3 // 4 :]), test=())

    def trained(limit: int, tune: int) -> float:
        trainer.Frozen = partial(Frozen, limit=limit)
        recipe = Recipe(tune=tune, epochs=epochs, patience=epochs)
        with tempfile.TemporaryDirectory() as folder:
            began = time.perf_counter()
            train(
                dataset, recipe, Path(folder) / "t", model=Backbone("vgg16", "random"), split=split,
                execution=Execution("cpu"),
            )  # fmt: skip
            return time.perf_counter() - began

    pairs = {tune: (trained(0, tune), trained(LIMIT, tune)) for tune in (0, 1, 2)}
    each = ", ".join(f"{tune}: {anew / kept:.1f}" for tune, (anew, kept) in pairs.items())
    anew, kept = (sum(times) for times in zip(*pairs.values(), strict=True))
    print(
        f"(i) training VGG-16 on {n} images, {epochs} epochs, set-up included, to depths 0, 1, 2: "
        f"{anew / kept:.1f} times faster with the frozen part kept (goal 5; {each})"
    )


_APART = """
import sys, tempfile
from pathlib import Path
sys.path.insert(0, {folder!r})
from run import OSIE, Backbone, Execution, part, probe
with tempfile.TemporaryDirectory() as folder:
    run = probe(part({n}), root=OSIE, model=Backbone("squeezenet1_0", "random"),
                out=Path(folder) / "run", execution=Execution("cpu"))
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0], run.info.timings_s["batches"])
"""


def _apart(n: int) -> tuple[float, float]:
    """Return the peak memory (MB) and time (s) of a run in a separate process (Linux only)."""
    code = _APART.format(folder=str(Path(__file__).parent), n=n)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    kilobytes, took = done.stdout.split()
    return int(kilobytes) / 1024, float(took)


def memory() -> None:
    """(c) Peak memory at 100 and 700 images."""
    small, large = _apart(100)[0], _apart(700)[0]
    print(
        f"(c) peak memory {small:.0f} MB at 100 images, {large:.0f} MB at 700: {large / small:.2f}"
    )


def linear() -> None:
    """(d) Time at 100, 200 and 400 images."""
    times = [_apart(n)[1] for n in (100, 200, 400)]
    ratios = ", ".join(f"{time / times[0]:.2f}" for time in times)
    print(f"(d) time at 100, 200, 400 images: {ratios} (linear: 1, 2, 4)")


def clustering() -> None:
    """(e) All of OSIE, and mean shift against scikit-learn's."""
    from sklearn.cluster import MeanShift

    dataset = load_osie(OSIE)
    took = seconds(lambda: cluster(dataset), 2)
    positions = [
        np.stack([found.x, found.y], axis=1) / dataset.px_per_degree
        for found in (dataset.fixations.of(stimulus.id) for stimulus in dataset.stimuli[:40])
    ]
    ours = seconds(lambda: [mean_shift(one, 2.0) for one in positions])
    theirs = seconds(lambda: [MeanShift(bandwidth=2.0).fit(one) for one in positions], 1)
    print(
        f"(e) clustering all 700 images {took:.1f} s (goal 15); "
        f"scikit-learn's mean shift is {theirs / ours:.0f} times slower"
    )


def precision() -> None:
    """(g) What bfloat16 in the forward pass does to the scores of a trained network."""
    weights = str(DATA / "weights" / "squeezenet1_0_imagenet_fp16.pth")
    runs = []
    for kind in ("fp32", "bf16"):
        with tempfile.TemporaryDirectory() as folder:
            run = probe(
                part(100), root=OSIE, model=Backbone("squeezenet1_0", weights),
                out=Path(folder) / "run", execution=Execution("cpu", None, kind),
            )  # fmt: skip
            runs.append((np.array(run.scores), run.table().to_numpy()))
    scores, tables = (np.abs(a - b) for a, b in zip(*runs, strict=True))
    print(
        "(g) bf16 against fp32, SqueezeNet, 100 images: a score differs by "
        f"{np.median(scores):.3f} (median), {np.quantile(scores, 0.99):.3f} (99 %), "
        f"{scores.max():.2f} (maximum); an entry of the table by at most {tables.max():.3f}"
    )


def popout() -> None:
    """(h) 80 search arrays drawn, and classical models on one OSIE image, one core each."""
    with tempfile.TemporaryDirectory() as folder:
        took = seconds(lambda: write_arrays(Arrays(), Path(folder) / "arrays"))
    print(f"(h) 80 search arrays with their masks {took:.1f} s (goal 3)")
    dataset = load_osie(OSIE)
    rgb = np.asarray(dataset.stimuli.read(dataset.stimuli[0]))
    with threadpool_limits(1):
        cv2.setNumThreads(1)
        each = {name: seconds(lambda m=model: m(rgb)) for name, model in MODELS.items()}
    print("    an 800×600 image: " + ", ".join(f"{n} {t:.3f} s" for n, t in each.items()))


def start_up() -> None:
    """(f) `--help`."""
    for program in ("annotate", "probe"):
        path = Path(sys.executable).with_name(program)
        took = seconds(lambda path=path: subprocess.run([path, "--help"], capture_output=True), 5)
        print(f"(f) {program} --help {took:.2f} s (goal 0.4)")


def main() -> None:
    if not LABELS.exists():
        sys.exit("benchmarks need OSIE and its labels in the folder SALPROBE_DATA")
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}))
    jobs = {
        "forward": lambda: [forward_pass(model, goal) for model, goal in GOALS.items()],
        "bf16": lambda: forward_pass("vgg16", 1.15, "bf16"),
        **{
            job.__name__: job
            for job in (scoring, memory, linear, clustering, start_up, precision, popout, training)
        },
    }
    for name in sys.argv[1:] or jobs:
        jobs[name]()


if __name__ == "__main__":
    main()
