"""The first page of a run: the table in every measure, and how the run was made."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from ....datasets.interval import Interval
from ....datasets.texts import minus, printable
from ...records.record import Record
from ...runs.run import Run
from ...statistics.selectivity import THRESHOLD, TOP
from ..cells import SHADES, bracketed, number
from ..run import paper_table
from .content import Content

_MEASURES = (
    (
        "top10_crossval",
        "NSS, cross-fitted",
        f"Mean NSS of {TOP} units, chosen on two thirds of the stimuli and scored on the third, "
        "± half its 95\u00a0% interval.",
    ),
    (
        "top10_mean",
        "NSS, as in the paper",
        f"Mean NSS of the top {TOP} units on the stimuli that chose them: too high, hence no "
        "interval.",
    ),
    (
        "above_threshold",
        f"units above {THRESHOLD}",
        f"Number of units whose mean NSS is above T = {THRESHOLD}.",
    ),
    (
        "contrast",
        "contrast",
        "What the cross-fitted units score in the category's regions, less what they score in the "
        "other regions of the same stimuli.",
    ),
    (
        "selective",
        "selective units",
        "Number of units whose contrast is above 0, at a false discovery rate of 5 % over the "
        "table.",
    ),
    (
        "shuffled",
        "chance (shuffled)",
        f"Position without content: mean NSS of the top {TOP} units' maps at regions of the "
        "category from other stimuli.",
    ),
    (
        "share",
        "share of the ceiling",
        "Cross-fitted NSS as a share of the ceiling: the NSS of the empirical saliency map of half "
        "of the observers at the other half's fixations.",
    ),
    (
        "paper",
        "He et al. 2019",
        "Their Table 2, VGG-16 on OSIE-SR, to compare with “NSS, as in the paper”.",
    ),
)


def measures(run: Run) -> list[dict[str, Any]]:
    """Return the heat map in every measure that the run knows.

    Returns
    -------
    list of dict
        ``key, label, note`` and ``cells``: for each layer, the last first, and each category a
        ``text``, a text ``below`` it, a ``value`` to sort by and a ``shade`` from 0 to 10.
    """
    found, paper, wide = [], paper_table(run), run.table()
    frames = {key: run.table(key) for key, _, _ in _MEASURES if key not in ("share", "paper")}
    frames["share"] = run.shares()
    frames["paper"] = (wide * np.nan) if paper is None else paper.reindex_like(wide)
    for key, label, note in _MEASURES:
        values = frames[key].to_numpy(np.float64)
        if np.isnan(values).all():
            continue
        low = high = np.full_like(values, np.nan)
        bounds = {"top10_crossval": "top10", "contrast": "contrast"}.get(key)
        if bounds:
            low, high = (run.table(f"{bounds}_{end}").to_numpy(float) for end in ("low", "high"))
        counts = key in ("above_threshold", "selective")
        start, reach = (0.0, float(np.nanmax(values)) or 1.0) if counts else (0.5, 2.5)
        start, reach = (0.0, 1.0) if key == "share" else (start, reach)
        cells = [
            [
                _cell(key, value, Interval(value, *ends).half_width, (value - start) / reach)
                for value, *ends in zip(*row, strict=True)
            ]
            for row in zip(values, low, high, strict=True)
        ]
        found.append({"key": key, "label": label, "note": note, "cells": cells})
    return found


def _cell(key: str, value: float, half: float, strength: float) -> dict[str, Any]:
    if math.isnan(value):
        return {"text": "–", "below": "", "value": None, "shade": 0}
    whole = key in ("above_threshold", "selective")
    text = f"{value:.0%}" if key == "share" else f"{value:.0f}" if whole else f"{value:.2f}"
    below = "" if math.isnan(half) else f"±{half:.2f}"
    shade = round(SHADES * min(1.0, max(0.0, strength)))
    return {"text": minus(text), "below": below, "value": round(value, 6), "shade": shade}


def facts(run: Run) -> list[list[list[tuple[str, str]]]]:
    """Return all that is known of each cell, as pairs of texts: layers, the last first."""
    shares, paper, rows = run.shares(), paper_table(run), {}
    for row in run.summary.to_dict("records"):
        share = shares.loc[row["layer"], row["category"]]
        fitted = Interval(row["top10_crossval"], row["top10_low"], row["top10_high"])
        rows[row["layer"], row["category"]] = [
            (f"mean NSS of {TOP} units, cross-fitted", bracketed(fitted).plain),
            (f"of the top {TOP}, as in the paper", number(row["top10_mean"])),
            ("contrast", bracketed(Interval.of(row, "contrast")).plain),
            ("chance (shuffled)", number(row["shuffled"])),
            ("ceiling", number(row["ceiling"])),
            ("share of the ceiling", "–" if np.isnan(share) else f"{share:.0%}"),
            (f"units above T = {THRESHOLD}", _count(row["above_threshold"])),
            ("selective units", _count(row["selective"])),
        ]
        if paper is not None and row["layer"] in paper.index and row["category"] in paper:
            value = number(paper.loc[row["layer"], row["category"]])
            rows[row["layer"], row["category"]].append(("He et al. 2019, top 10", value))
    return [
        [
            [(name, minus(text)) for name, text in rows[layer.name, category]]
            for category in run.categories
        ]
        for layer in reversed(run.info.layers)
    ]


def _count(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.0f}"


def table(content: Content) -> dict[str, Any]:
    """Return the heat map for the template: its columns, its rows and what stands below."""
    run, shown = content.run, measures(content.run)
    rows = []
    for place, layer in enumerate(reversed(run.info.layers)):
        cells = [
            {
                **(shown[0]["cells"][place][column] if shown else {"text": "–", "shade": 0}),
                "address": content.address(layer.name, category),
                "empty": not content.counts[category],
            }
            for column, category in enumerate(run.categories)
        ]
        rows.append({"layer": printable(layer.name), "units": layer.units, "cells": cells})
    ceilings = [minus(number(value)) for value in run.table("ceiling").iloc[0]]
    chances = [minus(number(value)) for value in run.table("shuffled").max()]
    return {
        "categories": [printable(name) for name in run.categories],
        "rows": rows,
        "ceilings": ceilings if run.summary["ceiling"].notna().any() else None,
        "chances": chances if run.summary["shuffled"].notna().any() else None,
        "counts": list(content.counts.values()),
        "measures": shown,
    }


def highlights(content: Content) -> list[tuple[str, str, str]]:
    """Return what stands out: a name, what it is, and the address of its cell or ""."""
    run, info = content.run, content.run.info
    found = [
        ("images", f"{info.images}", ""),
        ("salient regions", f"{info.regions}", ""),
        ("layers, units", f"{len(info.layers)}, {sum(one.units for one in info.layers)}", ""),
    ]
    known = run.summary.dropna(subset=["top10_low"])
    if len(known):
        best = known.sort_values("top10_crossval").iloc[-1]
        value = minus(number(best["top10_crossval"]))
        text = printable(f"{best['category']} in {best['layer']}: {value}")
        found.append(("highest NSS", text, content.address(best["layer"], best["category"])))
    return found


def verified(run: Run) -> str:
    """Say what is known of whether the labels were verified."""
    said = (run.info.annotator or "").lower()
    if "not verified" in said:
        return "Nobody has verified them: read every category as what the labeller took it for."
    return "Whether anybody else verified them is not recorded."


def parameters(run: Run) -> list[tuple[str, str]]:
    """Return how the run was made, as pairs of texts: everything its numbers depend on."""
    pairs = pairs_of(run.info)
    pairs[4:4] = [("mask file", run.info.masks), ("dataset", run.info.dataset)]
    return texts(pairs)


def pairs_of(info: Record) -> list[tuple[str, Any]]:
    """Return how the results of a record were made, as pairs."""
    pairs: list[tuple[str, Any]] = [
        ("started", info.started),
        ("finished", getattr(info, "finished", None)),
        ("device", info.device),
        ("salprobe", info.salprobe),
        *info.versions.items(),
    ]
    content = info.model_dump(mode="json")
    own = {
        name: content[name] for name in ("masks", "networks") if isinstance(content.get(name), dict)
    }
    for name, value in {**content.get("parameters", {}), **own}.items():
        nested = value if isinstance(value, dict) else {"": value}
        pairs += [(f"{name} {key}".strip().replace("_", " "), one) for key, one in nested.items()]
    return pairs


def texts(pairs: Iterable[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Return pairs as texts, without those that hold nothing."""
    hashes = {name: f"SHA-256 of the {name}" for name in ("masks", "fixations", "images")}
    return [
        (hashes.get(name, printable(name)), printable(_plain(value)))
        for name, value in pairs
        if value not in (None, "", [], {})
    ]


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(_plain, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
