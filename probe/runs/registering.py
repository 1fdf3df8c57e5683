"""Where a run's activation maps lie: measured as it begins, on some of its stimuli."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from PIL import Image

from ...datasets.errors import InputError
from ...datasets.progress import Progress
from ..layers.layers import Layer
from ..networks.model import Model
from ..networks.registration import measure_registration
from ..records.run_info import LayerInfo, Registration, RunInfo
from ..scoring.batches import Plan

_MEASURED_ON = 8  # stimuli


def with_registration(info: RunInfo, known: Mapping[str, Registration | None]) -> RunInfo:
    """Return a run's description with where its layers' maps lie, by name."""
    return info.model_copy(update={"layers": registered_layers(info.layers, known)})


def registered_layers(
    layers: Sequence[LayerInfo], known: Mapping[str, Registration | None]
) -> list[LayerInfo]:
    """Return the descriptions of layers with where their maps lie, by name."""
    return [layer.model_copy(update={"registration": known.get(layer.name)}) for layer in layers]


def registered(
    info: RunInfo,
    network: Model,
    layers: list[Layer],
    plan: Plan,
    skip_bad: bool,
    progress: Progress,
) -> RunInfo:
    """Return a run's description with where its layers' cells look, measured."""
    items = [item for batch in plan.batches for item in batch]
    items = items[:: -(-len(items) // _MEASURED_ON)]

    def pictures() -> Iterator[Image.Image]:
        for item in items:
            try:
                yield plan.stimuli.read(item.stimulus)
            except InputError:
                if not skip_bad:
                    raise

    with progress.task("measuring where cells look", len(items)) as advance:
        found = measure_registration(network, layers, pictures(), advance=advance)
    for layer in info.layers:
        if layer.name not in found:
            progress.say(
                f"{layer.name}: where its cells look is unknown (each sees the "
                "whole picture, or none changes them); its maps fill it"
            )
    return with_registration(info, found)
