"""The command line ``annotate``: parses, calls, prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ...datasets.errors import InputError
from ...terminal.app import new_app, refuse_given, run_app
from ...terminal.console import notes
from ...terminal.progress import progress
from ..choices import Edits, Method
from . import catalogue as cli_catalogue
from . import exchange as cli_exchange
from . import gaze as cli_gaze
from . import labels as cli_labels
from . import popout as cli_popout
from . import server as cli_server
from .gaze import (
    ColumnsOption,
    DropInvalidOption,
    EyeOption,
    ImageAtOption,
    ImageScaleOption,
    PxPerDegreeOption,
    ScreenOption,
    UnitOption,
)

app = new_app("Turn eye fixations into salient regions, and regions into labelled masks.")


@app.command(
    epilog="Example: [bold]annotate cluster osie -o osie_regions.json[/bold]\n\n"
    "Your own: [bold]annotate cluster pictures/ --fixations gaze.csv --columns "
    "image=stim,x=gx,y=gy --px-per-degree 32 -o regions.json[/bold]"
)
def cluster(
    context: typer.Context,
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Data set (osie, mit1003: see annotate datasets), a folder of images, or a table "
            "of fixations next to its images.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Mask file to write.")],
    root: Annotated[Path | None, typer.Option(help="Folder that holds the images.")] = None,
    fixations: Annotated[
        Path | None,
        typer.Option(
            help="Table of fixations: image, subject, x, y[, duration_ms] (.csv, .tsv, .parquet), "
            "an eye tracker's export, a folder of them, or a BIDS dataset."
        ),
    ] = None,
    columns: ColumnsOption = "",
    unit: UnitOption = "px",
    px_per_degree: PxPerDegreeOption = None,
    drop_invalid: DropInvalidOption = False,
    screen: ScreenOption = "",
    image_at: ImageAtOption = "",
    image_scale: ImageScaleOption = "",
    eye: EyeOption = None,
    method: Annotated[Method, typer.Option(help="Clustering method.")] = "mean-shift",
    bandwidth: Annotated[float, typer.Option(help="Mean shift: kernel radius in degrees.")] = 2.0,
    radius: Annotated[float, typer.Option(help="DBSCAN: neighbourhood radius in degrees.")] = 0.75,
    min_fixations: Annotated[
        int, typer.Option(help="Minimum number of fixations in a region.")
    ] = 8,
    min_subjects: Annotated[
        int, typer.Option(help="Minimum number of subjects who looked at a region.")
    ] = 4,
    margin: Annotated[
        float, typer.Option(help="Degrees by which the outline extends beyond the fixations.")
    ] = 0.4,
    labels: Annotated[
        str | None,
        typer.Option(help="Labelled mask file, or osie-sr, to carry categories over from."),
    ] = None,
) -> None:
    """Cluster fixations into salient regions with outlines.

    [bold]annotate gaze[/bold] shows first what is understood of the fixations.
    """
    import numpy as np

    from ...datasets.sources.load import load_dataset, load_masks, mask_path
    from ..labels.transfer import transfer_labels
    from ..regions.cluster import Clustering
    from ..regions.cluster import cluster as find_regions

    if method != "mean-shift":
        refuse_given(context, f"does nothing with --method {method}", "bandwidth")
    if method != "dbscan":
        refuse_given(context, f"does nothing with --method {method}", "radius")
    clustering = Clustering(
        method=method,
        bandwidth=bandwidth,
        radius=radius,
        min_fixations=min_fixations,
        min_subjects=min_subjects,
        margin=margin,
    )
    labelled = load_masks(labels) if labels else None
    settings = cli_gaze.table_format(
        columns, unit, drop_invalid, screen, image_at, image_scale, eye
    )
    dataset = load_dataset(source, root, fixations, px_per_degree, settings, progress)
    masks = find_regions(dataset, clustering, progress)
    if labelled is not None and labels is not None:
        masks = transfer_labels(masks, labelled, mask_path(labels).name)
    masks.write(output)
    count, images = len(masks.annotations), len(masks.images)
    gaze = "SIMULATED fixations" if dataset.simulated else "fixations"
    text = f"{output}: {count} regions on {images} images ({count / images:.1f} each) from "
    text += f"{len(dataset.fixations)} {gaze}"
    if labelled is not None:
        unlabelled = sum(a.label_source is None for a in masks.annotations)
        text += f"; {count - unlabelled} labelled as in {labels}"
    if dataset.dropped:
        text += f"; {dataset.dropped} invalid fixations dropped"
    if not count and len(np.unique(dataset.fixations.subject)) < min_subjects:
        text += f"; fewer subjects than --min-subjects {min_subjects}"
    notes.print(text)


@app.command(epilog="Example: [bold]annotate review osie_sr.json[/bold]")
def review(
    masks: Annotated[
        str, typer.Argument(help="Mask file to review, or osie-sr, of which a copy is made here.")
    ],
    root: Annotated[Path | None, typer.Option(help="Folder that holds the images.")] = None,
    second: Annotated[
        Path | None,
        typer.Option(
            help="Mask file by another annotator of the same images, to show beside yours."
        ),
    ] = None,
    fixations: Annotated[
        Path | None, typer.Option(help="Table of fixations, if the mask file has none.")
    ] = None,
    prefer: Annotated[
        Edits | None,
        typer.Option(help="Whose edits to keep if the file changed while edits were unsaved."),
    ] = None,
) -> None:
    """Review labels in the terminal: one key per category, every change saved at once.

    A crash loses nothing: a journal next to the file keeps every edit, and undo steps back
    through it.
    """
    import sys

    from ...datasets.sources.load import fixations_of, root_of
    from ...datasets.stimuli import Stimuli
    from ..review.journal import Review, alone
    from ..review.own import own

    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InputError("review needs a terminal")
    path = own(masks)
    if path != Path(masks):
        notes.print(f"{path}: a copy of {masks}")
    with alone(path):
        opened = Review(path, prefer)
        mask_set = opened.editor.masks
        folder = root_of(mask_set, root, path.parent)
        try:
            opened.editor.fixations = fixations_of(mask_set, folder, fixations)
        except InputError as error:
            if fixations is not None:
                raise
            notes.print(f"{error}; fixations are not shown")
        theirs = {}
        if second is not None:  # loads pandas, which most reviews do not need
            from ...datasets.masks.mask_set import MaskSet
            from ..labels.agree import labels_by

            theirs = labels_by(MaskSet.read(second), mask_set)
        from ...tui.labels.review import LabelReview

        LabelReview(opened, Stimuli(folder, tuple(mask_set.images)), theirs).run()


app.add_typer(cli_catalogue.app)
app.add_typer(cli_gaze.app)
app.add_typer(cli_labels.app)
app.add_typer(cli_exchange.app)
app.add_typer(cli_server.app)
app.add_typer(cli_popout.app)


def main() -> None:
    """Run the command line."""
    run_app(app, "annotate")
