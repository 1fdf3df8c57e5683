"""Attention heads as units: how much each head attends to each token."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import nn
from torch.overrides import TorchFunctionMode

Query = Literal["class", "mean"]
"""Whose attention: that of the first token, the class token, or the mean over all that ask."""

_SOFTMAX = {torch.softmax, torch.Tensor.softmax, F.softmax}


@contextmanager
def attending(
    network: nn.Module, note: Callable[[str, Callable[[Query], torch.Tensor]], None]
) -> Iterator[None]:
    """Note every attention of a network while it runs.

    What counts as attention is what a network computes, whatever its modules are called: torch's
    `scaled_dot_product_attention` and `multi_head_attention_forward`, and softmax over the last of
    four axes.

    Parameters
    ----------
    network : Module
    note : callable
        Gets the path of the module that attends, and a function that returns float32
        (n, heads, tokens) for a `Query`: weights that add up to 1 over the tokens. To be called
        at once or not at all.
    """
    inside: list[str] = []

    def leave(*_: object) -> None:
        inside.pop()

    class Watch(TorchFunctionMode):
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            output = func(*args, **kwargs)
            weights = _weights(func, args, kwargs, output) if inside else None
            if weights is not None:
                note(inside[-1], weights)
            return output

    handles = []
    for name, module in network.named_modules():
        if not isinstance(module, nn.Softmax):  # it is the module around it that attends
            enter = module.register_forward_pre_hook(lambda *_, name=name: inside.append(name))
            handles += [enter, module.register_forward_hook(leave)]
    try:
        with Watch():
            yield
    finally:
        for handle in handles:
            handle.remove()


def _weights(
    func: object, args: Any, kwargs: dict[str, Any], output: Any
) -> Callable[[Query], torch.Tensor] | None:
    """Return the attention's weights for a query, if a call is one of attention."""
    if func is F.scaled_dot_product_attention:
        return _of_product(*args, **kwargs) if output.ndim == 4 else None
    if func is F.multi_head_attention_forward:

        def heads(query: Query) -> torch.Tensor:
            wanted = {**kwargs, "need_weights": True, "average_attn_weights": False}
            weights = F.multi_head_attention_forward(*args, **wanted)[1]
            assert weights is not None
            return _rows(weights, query)

        return heads
    if func in _SOFTMAX and output.ndim == 4:
        axis = kwargs.get("dim", args[1] if len(args) > 1 else None)
        return (lambda query: _rows(output, query)) if axis in (-1, 3) else None
    return None


def _of_product(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attn_mask: torch.Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Callable[[Query], torch.Tensor]:
    """Return the weights of `scaled_dot_product_attention`, which does not give them itself."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    asking, asked = query.shape[-2], key.shape[-2]
    if enable_gqa:
        key = key.repeat_interleave(query.shape[1] // key.shape[1], 1)
    if is_causal:
        attn_mask = torch.ones(asking, asked, dtype=torch.bool, device=query.device).tril()
    if attn_mask is not None:
        attn_mask = attn_mask.expand(len(query), query.shape[1], asking, asked)

    def heads(wanted: Query) -> torch.Tensor:
        some = slice(1) if wanted == "class" else slice(None)
        rows = []
        with torch.autocast(query.device.type, enabled=False):
            for image in range(len(query)):  # all at once, they need much memory
                products = query[image, :, some].float() @ key[image].float().mT * scale
                if attn_mask is not None:
                    mask = attn_mask[image, :, some]
                    no = mask.dtype == torch.bool
                    products = products.masked_fill(~mask, -math.inf) if no else products + mask
                rows.append(products.softmax(-1).mean(-2))
        return torch.stack(rows)

    return heads


def _rows(weights: torch.Tensor, query: Query) -> torch.Tensor:
    """Return one row of weights (n, heads, queries, tokens), or the mean of all."""
    return (weights[..., 0, :] if query == "class" else weights.mean(-2)).float()


def queries(prefix: int) -> Iterable[Query]:
    """Return the queries that a layer has: the class token's only if a token precedes the cells."""
    return ("class", "mean") if prefix else ("mean",)
