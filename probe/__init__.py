"""Probe networks with masks: score, train, compare, explain. The only floor to import torch.

In Python the package is also its main function: ``salprobe.probe(masks)`` is
`runs.probing.probe`.
"""

import inspect
import sys
from types import ModuleType


class _Probe(ModuleType):
    @property
    def __signature__(self) -> inspect.Signature:
        from .runs.probing import probe

        return inspect.signature(probe)

    def __call__(self, *arguments, **options):
        from .runs.probing import probe

        return probe(*arguments, **options)


sys.modules[__name__].__class__ = _Probe
