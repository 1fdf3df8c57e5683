"""A run and a training, in as many processes as it is started in: ``spread.py WORLD GAZE OUT``."""

import sys
from pathlib import Path

import salprobe as sp


def run_and_train(world: Path, gaze: Path, out: Path) -> None:
    """Probe and train small networks; see the fixtures ``small_world`` and ``gaze_world``."""
    sp.probe(
        world / "masks.json",
        model=sp.Backbone("nets:colours", input_size=(36, 48)),
        layers=["units"],
        root=world,
        out=out / "run",
        execution=sp.Execution(device="cpu", batch_size=1),
    )
    sp.train(
        sp.load_dataset(str(gaze)),
        sp.Recipe(tune="all", epochs=2),
        out / "trained",
        model=sp.Backbone("nets:small", input_size=(36, 48)),
        execution=sp.Execution(device="cpu", batch_size=5),
    )


if __name__ == "__main__":
    run_and_train(*map(Path, sys.argv[1:]))
