"""The public face of salprobe, for notebooks and scripts: ``import salprobe as sp``.

Each name is loaded on first use: importing salprobe costs nothing, and reading a run or
clustering fixations needs no torch. The types of these names are in ``__init__.pyi``.
"""

from importlib import import_module
from importlib.metadata import version
from pathlib import Path

# In a checkout the floors are next to this folder, not in it; this lets Python find them.
if (Path(__file__).parent.parent / "pyproject.toml").is_file():
    __path__.append(str(Path(__file__).parent.parent))

_PLACES = {
    "annotate.labels.agree": ("agree",),
    "annotate.labels.merge": ("merge",),
    "annotate.labels.transfer": ("transfer_labels",),
    "annotate.popout.arrays": ("Arrays", "write_arrays"),
    "annotate.regions.cluster": ("Clustering", "cluster"),
    "datasets.errors": ("InputError",),
    "datasets.fixations": ("Fixations",),
    "datasets.gaze.placement": ("Placement",),
    "datasets.gaze.read": ("read_gaze",),
    "datasets.gaze.settings": ("TableFormat",),
    "datasets.gaze.understood": ("Gaze",),
    "datasets.interval": ("Interval",),
    "datasets.masks.mask_set": ("MaskSet",),
    "datasets.progress": ("Progress",),
    "datasets.sources.load": ("load_dataset", "load_masks"),
    "datasets.sources.sample": ("write_sample",),
    "datasets.stimuli": ("Dataset", "Stimuli"),
    "probe.analysis.colour": ("ColourSpaces", "colour"),
    "probe.analysis.compare": ("compare",),
    "probe.analysis.inside_outside": ("output",),
    "probe.analysis.suggest": ("suggest",),
    "probe.analysis.transfer": ("transfer",),
    "probe.analysis.unit_change": ("unit_change",),
    "probe.dissection.ablate": ("ablate",),
    "probe.dissection.agreement": ("iou_and_nss",),
    "probe.dissection.dissect": ("Dissection", "dissect"),
    "probe.experiments.popout": ("popout",),
    "probe.experiments.sweep": ("sweep",),
    "probe.experiments.tasks": ("compare_tasks",),
    "probe.explain.explaining": ("explain",),
    "probe.explain.explanation": ("Explanation",),
    "probe.inside.folder": ("Contents",),
    "probe.fields.estimates": ("linear_field",),
    "probe.fields.fields": ("FieldRecipe", "Fields", "fields"),
    "probe.fields.windows": ("Window", "measure_window"),
    "probe.networks.activation": ("activation",),
    "probe.networks.convert": ("convert_weights",),
    "probe.networks.device": ("Execution",),
    "probe.networks.load": ("Backbone", "load_model"),
    "probe.networks.model": ("Model",),
    "probe.runs.merging": ("merge_runs",),
    "probe.runs.run": ("Run",),
    "probe.runs.slices": ("Slices",),
    "probe.saliency.benchmark": ("score",),
    "probe.saliency.maps": ("saliency_map",),
    "probe.sources.description": ("Network",),
    "probe.sources.factory": ("trust",),
    "probe.training.recipe": ("Recipe",),
    "probe.training.train": ("train",),
    "probe.views.dissection": ("draw_detectors",),
    "probe.views.fields.pictures": ("draw_fields",),
    "probe.views.figures": ("draw_table",),
    "probe.views.rebuilt": ("draw_explanation",),
    "probe.views.report.site": ("write_report",),
    "probe.views.sheets": ("unit_sheets",),
    "probe.views.saliency.picture": ("draw_maps",),
    "probe.views.slices.picture": ("draw_slices",),
    "probe.views.units": ("draw_best_units",),
    "terminal.progress": ("progress",),
}
_MODULES = {name: module for module, names in _PLACES.items() for name in names}

__all__ = ["__version__", "probe", *_MODULES]


def __getattr__(name: str) -> object:
    if name == "__version__":
        return version("salprobe")
    if name == "probe":  # a package that can be called: ADR 13
        return import_module(".probe", __name__)
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
