"""The networks of this room by the names that commands use."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from ...datasets.errors import InputError
from ..records.record import Weights
from ..sources.description import Network
from . import cmrnet, msinet, unisal


def _unisal(domain: unisal.Domain) -> Network:
    return Network(unisal.Unisal(domain), size=unisal.SIZE, interpolation="lanczos")


def _msinet(size: tuple[int, int]) -> Network:
    module = msinet.MsiNet(size)
    return Network(module, mean=msinet.MEAN, sd=(1.0, 1.0, 1.0), size=size, range=255)


def _cmrnet(encoder: Callable[[], cmrnet.CrossEncoder | cmrnet.SqueezeEncoder]) -> Network:
    return Network(cmrnet.CmrNet(encoder()), size=cmrnet.SIZE)


ARCHITECTURES: dict[str, Callable[[], Network]] = {
    "unisal": partial(_unisal, "SALICON"),
    "unisal-dhf1k": partial(_unisal, "DHF1K"),
    "unisal-hollywood": partial(_unisal, "Hollywood"),
    "unisal-ucfsports": partial(_unisal, "UCFSports"),
    "msinet": partial(_msinet, (240, 320)),
    "msinet-mit1003": partial(_msinet, (360, 360)),
    "msinet-cat2000": partial(_msinet, (216, 384)),
    "cmrnet": partial(_cmrnet, cmrnet.CrossEncoder),
    "cmrnet-squeezenet1_0": partial(_cmrnet, cmrnet.SqueezeEncoder),
}
"""What makes each network, with random weights: UNISAL by domain, MSI-Net by the data set whose
input size it has, CMRNet by its encoder."""

_PUBLISHED = {
    "unisal": "weights_best.pth of github.com/rdroste/unisal",
    "msinet": "the .pb, the checkpoint or the SavedModel of github.com/alexanderkroner/saliency",
}


def architecture(name: str, weights: str) -> tuple[Network, Weights]:
    """Return a network of this room with random weights, and the record of these.

    Parameters
    ----------
    name : str
        One of `ARCHITECTURES`.
    weights : str
        ``random``, or a file, which is not read here.

    Raises
    ------
    InputError
        If the weights are ``default`` where some are published: they are not downloaded.
    """
    if weights == "default" and name.partition("-")[0] in _PUBLISHED:
        where = _PUBLISHED[name.partition("-")[0]]
        raise InputError(f"{name}: get {where} and name it with --weights, or say random")
    return ARCHITECTURES[name](), Weights(source="random")
