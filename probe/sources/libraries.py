"""Networks of other libraries: ``timm:NAME``, ``hf:OWNER/NAME``, ``open_clip:ARCH[/TAG]``.

Each brings how it is to be fed. What training cropped is resized whole here, since maps must cover
the stimulus.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from types import ModuleType
from typing import Any, cast

from torch import nn

from ...datasets.errors import InputError
from ..records.record import Weights
from .description import Network

Size = tuple[int, int]

OWN, READOUT = "explained:", "explained-readout:"
"""What begins the names of the saliency models that an explanation gives."""


def source_of(name: str) -> str | None:
    """Return the source that a model's name begins with, or None."""
    source = name.partition(":")[0]
    return source if ":" in name and source in _SOURCES else None


def is_factory(name: str) -> bool:
    """Return whether a model's name is ``package.module:factory``."""
    return ":" in name and source_of(name) is None and not is_explained(name)


def is_explained(name: str) -> bool:
    """Return whether a model's name is that of an explanation's saliency model."""
    return name.startswith((OWN, READOUT))


def from_source(name: str, weights: str, input_size: Size | None) -> tuple[Network, Weights]:
    """Return a network of another library, and the record of its weights.

    Parameters
    ----------
    name : str
        ``timm:NAME``, ``hf:OWNER/NAME`` or ``hf:FOLDER``, ``open_clip:ARCH[/TAG]``.
    weights : str
        ``default`` loads the published weights; any other value leaves them random.
    input_size : (height, width), optional
        For networks that are built for one input size.

    Raises
    ------
    InputError
        If the library is not installed, has no such network, or cannot get its weights.
    """
    source, _, rest = name.partition(":")
    extra, package, make = _SOURCES[source]
    try:
        library = import_module(package)
    except ImportError as error:
        raise InputError(
            f"{name}: needs {package}, which is not installed: pip install 'salprobe[{extra}]'"
        ) from error
    with redirect_stdout(sys.stderr), _quiet():
        try:
            network, file = make(library, rest, weights == "default", input_size)
        except InputError as error:
            raise InputError(f"{name}: {error}") from error
        except Exception as error:  # each library raises its own types
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise InputError(f"{name}: {reason}") from error
    if weights == "default":
        return network, Weights(source="default", file=file)
    return network, Weights(source="random")


def _timm(timm: ModuleType, name: str, pretrained: bool, size: Size | None) -> tuple[Network, str]:
    if not timm.is_model(name):
        raise InputError("timm has no such model; timm.list_models() lists them")
    published = timm.models.get_pretrained_cfg(name)
    fixed = size and published is not None and published.fixed_input_size
    module = timm.create_model(name, pretrained=pretrained, **({"img_size": size} if fixed else {}))
    data = timm.data.resolve_model_data_config(module)
    network = _described(
        *(module, data["mean"], data["std"]),
        data["input_size"][1:],
        data["interpolation"],
    )
    return network, module.pretrained_cfg.get("hf_hub_id") or name


def _hf(
    transformers: ModuleType, name: str, pretrained: bool, size: Size | None
) -> tuple[Network, str]:
    if not name:
        raise InputError("expected hf:OWNER/NAME or hf:FOLDER")
    known = {"trust_remote_code": False}
    config = transformers.AutoConfig.from_pretrained(name, **known)
    processing = import_module("transformers.image_processing_base").ImageProcessingMixin
    feed = processing.get_image_processor_dict(name)[0]
    if pretrained:
        with _without_bars(transformers.utils.logging):
            module = transformers.AutoModel.from_pretrained(name, **known)
    else:
        module = transformers.AutoModel.from_config(config, **known)
    module = getattr(module, "vision_model", module)  # of two towers, the one that sees
    box = feed.get("crop_size") if feed.get("do_center_crop") else None
    box = box or feed.get("size") or {}
    box = {"height": box, "width": box} if isinstance(box, int) else box
    side = box.get("shortest_edge")
    trained = (box.get("height", side), box.get("width", side))
    normalised = feed.get("do_normalize", True)
    mean, sd = (feed.get(f"image_{key}") for key in ("mean", "std"))
    if None in trained or (normalised and (mean is None or sd is None)):
        raise InputError("its preprocessor_config.json does not say the size, the mean and the sd")
    scaled = feed.get("rescale_factor", 1 / 255) if feed.get("do_rescale", True) else 1
    network = _described(
        *(module, mean if normalised else (0, 0, 0), sd if normalised else (1, 1, 1)),
        *(trained, feed.get("resample", "bilinear"), round(255 * scaled, 6)),
    )
    return network, name


def _open_clip(
    open_clip: ModuleType, name: str, pretrained: bool, size: Size | None
) -> tuple[Network, str]:
    arch, _, tag = name.partition("/")
    if arch not in open_clip.list_models():
        raise InputError("open_clip has no such architecture; open_clip.list_models() lists them")
    tags = open_clip.list_pretrained_tags_by_model(arch)
    if pretrained and tag not in tags:
        raise InputError(f"expected weights, as in open_clip:{arch}/TAG: {', '.join(tags)}")
    options: dict[str, Any] = {}
    if size:
        options["force_image_size"] = size[0] if size[0] == size[1] else size
    module = open_clip.create_model(arch, tag if pretrained else None, **options).visual
    feed = module.preprocess_cfg
    trained = feed["size"] if isinstance(feed["size"], tuple | list) else (feed["size"],) * 2
    network = _described(module, feed["mean"], feed["std"], trained, feed["interpolation"])
    return network, name


_Make = Callable[[ModuleType, str, bool, Size | None], tuple[Network, str]]

_SOURCES: dict[str, tuple[str, str, _Make]] = {
    "timm": ("timm", "timm", _timm),
    "hf": ("hf", "transformers", _hf),
    "open_clip": ("clip", "open_clip", _open_clip),
}
"""The extra, the package and the function of each source."""

_PILLOW = ("nearest", "lanczos", "bilinear", "bicubic")  # by Pillow's numbers


def _described(
    module: nn.Module, mean: Any, sd: Any, size: Any, interpolation: Any, white: float = 1
) -> Network:
    """Describe a network."""
    if isinstance(interpolation, int) and interpolation < len(_PILLOW):
        interpolation = _PILLOW[interpolation]
    if interpolation == "random":  # timm's, of networks that were trained with several
        interpolation = "bilinear"
    return Network(
        module,
        *(tuple(float(value) for value in values) for values in (mean, sd)),
        size=cast(Size, tuple(int(side) for side in size)),
        range=white,
        interpolation=cast(Any, interpolation),  # checked there
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Say nothing of weights that were not asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


@contextmanager
def _without_bars(logs: Any) -> Iterator[None]:
    """Draw no progress bars where nobody watches."""
    hide = logs.is_progress_bar_enabled() and not sys.stderr.isatty()
    if hide:
        logs.disable_progress_bar()
    try:
        yield
    finally:
        if hide:
            logs.enable_progress_bar()
