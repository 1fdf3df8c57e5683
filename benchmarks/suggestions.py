"""How often suggestions are right where pictures differ from those that were labelled.

``SALPROBE_DATA=… python benchmarks/suggestions.py``: OSIE's labels, carried to OSIE's own pictures.
No other labelled data set is at hand, so other pictures are made of these: left out are whole
groups of pictures that look alike, or the pictures are degraded, and the labelled ones are not.
"""

import os
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from PIL import Image
from sklearn.cluster import KMeans

import salprobe as sp
from salprobe.probe.analysis.suggest import Neighbours, region_features
from salprobe.probe.layers.layers import select
from salprobe.probe.statistics.clusters import mean_interval

GROUPS = 10
DATA = Path(os.environ["SALPROBE_DATA"])


def grey(picture: np.ndarray) -> np.ndarray:
    return np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)


def half(picture: np.ndarray) -> np.ndarray:
    """Halve the resolution; the masks stay where they are."""
    small = cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)


def jpeg(picture: np.ndarray) -> np.ndarray:
    _, content = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 10])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


DEGRADED = {"in grey": grey, "at half the resolution": half, "as JPEG of quality 10": jpeg}


def main() -> None:
    """Print accuracy, calibration and categories as tables."""
    masks, root = sp.load_masks("osie-sr"), DATA / "osie" / "stimuli"
    weights = DATA / "weights" / "squeezenet1_0_imagenet_fp16.pth"
    network = sp.Backbone("squeezenet1_0", str(weights), input_size=(448, 448)).load()
    layer = select(network.layers(), ["classifier.1"])[0]

    def features(pictures: Path) -> dict[int, np.ndarray]:
        return region_features(masks, pictures, network, layer, "cpu", lambda steps: None)

    def right(votes: tuple[list[str], list[float]]) -> tuple[np.ndarray, np.ndarray]:
        return np.array(votes[0]) == category, np.array(votes[1])

    plain = features(root)
    regions = [region for region in masks.annotations if region.id in plain]
    names = masks.category_of()
    category = np.array([names[region.category_id] for region in regions])
    image = np.array([region.image_id for region in regions])
    known = np.stack([plain[region.id] for region in regions])
    labels, images = category.tolist(), [str(one) for one in image]
    looks = {one: known[image == one].mean(0) for one in np.unique(image)}
    scaled = np.stack([one / np.linalg.norm(one) for one in looks.values()])
    alike = KMeans(GROUPS, n_init=10, random_state=0).fit_predict(scaled)
    group = dict(zip(looks, alike, strict=True))
    groups = [str(group[one]) for one in image]

    found = {
        "of other pictures": right(Neighbours(known, labels, images).vote(known, images)),
        f"of pictures unlike it ({GROUPS} groups)": right(
            Neighbours(known, labels, groups).vote(known, groups)
        ),
    }
    own = Neighbours(known, labels, images)
    for name, change in DEGRADED.items():
        with TemporaryDirectory() as folder:
            for entry in masks.images:
                picture = np.asarray(Image.open(root / entry.file_name).convert("RGB"))
                path = Path(folder) / f"{entry.file_name}.png"
                Image.fromarray(change(picture)).save(path)
                path.rename(Path(folder) / entry.file_name)
            seen = features(Path(folder))
        found[name] = right(own.vote(np.stack([seen[one.id] for one in regions]), images))

    common = max(np.unique(category, return_counts=True)[1]) / len(category)
    print(f"{len(regions)} regions; always the commonest category: {common:.1%}\n")
    print("| labelled regions vote on one | right | confidence ≥ 0.5 | ≥ 0.7 | ≥ 0.9 |")
    print("| --- | --- | --- | --- | --- |")
    for name, (correct, confidence) in found.items():
        cells = [f"{100 * bound:.1f}" for bound in mean_interval(correct.astype(float), image)]
        sure = [
            f"{correct[at].mean():.0%} of {at.mean():.0%}"
            for at in (confidence >= least for least in (0.5, 0.7, 0.9))
        ]
        print("|", " | ".join([name, f"{cells[0]} % ({cells[1]} to {cells[2]})", *sure]), "|")
    print("\n| category | regions |", " | ".join(found), "|")
    print("| --- |", " | ".join(["---"] * (1 + len(found))), "|")
    for one in dict.fromkeys(category):
        at = category == one
        print(
            f"| {one} | {at.sum()} |",
            " | ".join(f"{correct[at].mean():.0%}" for correct, _ in found.values()),
            "|",
        )


if __name__ == "__main__":
    main()
