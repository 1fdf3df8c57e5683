"""The 12 categories of He et al. (CVPR 2019), section 3, and their COCO ids."""

CATEGORIES = (
    "person head",
    "person part",
    "animal head",
    "animal part",
    "object",
    "text",
    "symbol",
    "vehicle",
    "food",
    "plant",
    "drink",
    "other",
)
"""In the paper's order; the COCO ids are 1 to 12 in this order."""

UNLABELLED = "unlabelled"
"""Category of a region that nobody has labelled yet; excluded from every statistic."""

UNLABELLED_ID = 13


def coco_categories() -> list[dict]:
    """Return the ``categories`` list of a mask file: the 12, then ``unlabelled``."""
    return [
        {"id": number, "name": name, "supercategory": "salient region"}
        for number, name in enumerate((*CATEGORIES, UNLABELLED), start=1)
    ]


def ids_with(categories: list[dict], *names: str) -> dict[str, int]:
    """Return the category ids by name, after adding entries for names that are missing.

    Parameters
    ----------
    categories : list of dict
        The ``categories`` of a mask file; entries are appended to it.
    *names : str
    """
    ids = {entry["name"]: entry["id"] for entry in categories}
    for name in names:
        if name not in ids:
            free = name == UNLABELLED and UNLABELLED_ID not in ids.values()
            ids[name] = UNLABELLED_ID if free else max(ids.values(), default=0) + 1
            categories.append({"id": ids[name], "name": name})
    return ids


COLOURS: dict[str, str] = dict(
    zip(
        (*CATEGORIES, UNLABELLED),
        (
            *("#1f78b4", "#a6cee3", "#33a02c", "#b2df8a", "#e31a1c", "#ff7f00", "#fdbf6f"),
            *("#6a3d9a", "#fb9a99", "#b15928", "#cab2d6", "#ffff99", "#808080"),
        ),
        strict=True,
    )
)
"""Each category's colour in drawings: ColorBrewer's "Paired", head and part in one hue."""
