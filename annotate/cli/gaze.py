"""How the commands of ``annotate`` take gaze, and the command that shows what was understood."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ...datasets.choices import Detection, Eye, Unit
from ...datasets.errors import InputError
from ...terminal.console import notes, print_data

if TYPE_CHECKING:
    from ...datasets.gaze.settings import TableFormat
    from ...datasets.gaze.understood import Gaze
    from ...datasets.stimuli import Stimuli

app = typer.Typer()

ColumnsOption = Annotated[
    str,
    typer.Option(help="Map our column names to the table's, for example x=gaze_x,subject=who."),
]
UnitOption = Annotated[
    Unit, typer.Option(help="Unit of x and y: pixels, or degrees from the image centre.")
]
PxPerDegreeOption = Annotated[
    float | None, typer.Option(help="Pixels in one degree of visual angle.")
]
DropInvalidOption = Annotated[
    bool,
    typer.Option(
        "--drop-invalid", help="Drop fixations that lie outside the image or have no position."
    ),
]
ScreenOption = Annotated[
    str,
    typer.Option(metavar="WIDTHxHEIGHT", help="Size of the screen, if positions are its pixels."),
]
ImageAtOption = Annotated[
    str,
    typer.Option(
        metavar="X,Y", help="Upper left corner of the images on the screen (default: centre)."
    ),
]
ImageScaleOption = Annotated[
    str,
    typer.Option(
        metavar="NUMBER",
        help="Screen pixels per image pixel (default: 1); fit: as large as the screen allows; "
        "fill: stretched to it.",
    ),
]
EyeOption = Annotated[
    Eye | None, typer.Option(help="Which eye counts for subjects of whom both were recorded.")
]


def table_format(
    columns: str,
    unit: Unit,
    drop_invalid: bool,
    screen: str,
    image_at: str,
    image_scale: str,
    eye: Eye | None,
    detect: Detection | None = None,
) -> TableFormat:
    """Return what the options say about a table.

    Raises
    ------
    InputError
        If one is malformed.
    """
    from ...datasets.gaze.placement import parse_placement
    from ...datasets.gaze.settings import TableFormat

    placement = parse_placement(screen, image_at, image_scale)
    names = _columns(columns)
    if "time" in names and detect is None:
        raise InputError("--columns time=…: only samples have one: annotate gaze --detect ivt|idt")
    if "duration_ms" in names and detect is not None:
        raise InputError("--columns duration_ms=…: samples have none; leave out --detect")
    return TableFormat(names, unit, drop_invalid, placement, eye, detect)


@app.command(
    epilog="After [bold]annotate fetch sample --root sample[/bold]: "
    "[bold]annotate gaze sample/fixations.csv --picture gaze.png[/bold]\n\n"
    "An EyeLink report: [bold]annotate gaze report.txt --root pictures/ --screen 1920x1080[/bold]"
    "\n\n"
    "Gaze samples: [bold]annotate gaze samples.csv --root pictures/ --detect idt "
    "--px-per-degree 32 -o fixations.csv[/bold]"
)
def gaze(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="Table of fixations or gaze samples, an eye tracker's export, a folder of them, "
            "or a BIDS dataset.",
        ),
    ],
    root: Annotated[
        Path | None, typer.Option(help="Folder that holds the images (default: the file's).")
    ] = None,
    columns: ColumnsOption = "",
    unit: UnitOption = "px",
    px_per_degree: PxPerDegreeOption = None,
    drop_invalid: DropInvalidOption = False,
    screen: ScreenOption = "",
    image_at: ImageAtOption = "",
    image_scale: ImageScaleOption = "",
    eye: EyeOption = None,
    detect: Annotated[
        Detection | None,
        typer.Option(
            help="The table holds gaze samples: detect fixations in them with pymovements, by "
            "velocity (ivt: below 20 degrees a second) or dispersion (idt: within one degree), for "
            "at least 100 ms. Needs --px-per-degree, and salprobe\\[pymovements]."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw gaze on three images to this file (.png, .jpg)."),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the fixations as our own table (.csv)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Show what is understood of a table of gaze: rows, subjects, images, what is dropped and why.

    Exports of EyeLink (Data Viewer, .asc), Tobii, SMI, Gazepoint, Pupil Labs, PsychoPy and
    pymovements are recognised, and BIDS.

    Fixations are detected in gaze samples by --detect ivt or --detect idt.
    """
    from ...datasets.files import atomic_write
    from ...datasets.gaze.read import read_gaze
    from ...datasets.sources.folder import read_description
    from ...datasets.stimuli import Stimuli

    settings = table_format(columns, unit, drop_invalid, screen, image_at, image_scale, eye, detect)
    if output is not None and output.suffix.lower() != ".csv" and str(output) != "-":
        raise InputError(f"{output}: expected a name that ends in .csv")
    table, folder = _places(source)
    folder = root or folder
    stimuli = Stimuli.from_folder(folder)
    if picture is not None and picture.suffix.lower() not in (".png", ".jpg", ".jpeg"):
        raise InputError(f"{picture}: expected a name that ends in .png or .jpg")
    for target in (picture, output):
        _check_target(target, table, stimuli)
    description = read_description(folder)
    scale = px_per_degree or description.px_per_degree
    found = read_gaze(table, stimuli, scale, settings)
    if as_json:
        record = found.record() | {"simulated": description.simulated}
        print_data(json.dumps(record, ensure_ascii=False))
    else:
        made_up = ["SIMULATED fixations"] if description.simulated else []
        print_data("\n".join([*found.lines(), *_coverage(stimuli, found), *made_up]))
    if picture is not None:
        from ..regions.gaze_picture import write_gaze_picture

        drawn = write_gaze_picture(stimuli, found.fixations, picture)
        notes.print(f"{picture}: gaze on {len(drawn)} images")
    if output is not None:
        with atomic_write(output) as file:
            file.write(_own_table(stimuli, found).encode())
        notes.print(f"{output}: {len(found.fixations)} fixations")


def _check_target(target: Path | None, table: Path, stimuli: Stimuli) -> None:
    """Refuse to write over gaze or images, or a picture among the images."""
    if target is None or str(target) == "-":
        return
    where = target.resolve()
    inside = table.is_dir() and where.is_relative_to(table.resolve()) and where.exists()
    if where == table.resolve() or inside:
        raise InputError(f"{target}: is what is read; choose another name")
    if where.suffix.lower() != ".csv" and where.parent == stimuli.root.resolve():
        raise InputError(f"{target}: would be one of the images in {stimuli.root}")


def _places(source: Path) -> tuple[Path, Path]:
    """Return the table, and the folder where its images are looked for."""
    from ...datasets.gaze.bids import recordings
    from ...datasets.sources.folder import find_table

    if not source.is_dir():
        return source, source.parent
    if recordings(source):
        return source, source / "stimuli" if (source / "stimuli").is_dir() else source
    try:
        return find_table(source), source
    except InputError:
        return source, source


def _coverage(stimuli: Stimuli, found: Gaze) -> list[str]:
    """Return in words how fixations spread over the images."""
    import numpy as np

    counts = [len(found.fixations.of(stimulus.id)) for stimulus in stimuli]
    without = [s.file_name for s, n in zip(stimuli, counts, strict=True) if not n]
    some = sorted(n for n in counts if n)
    lines = []
    if some:
        middle = float(np.median(some))
        lines.append(f"fixations an image: {some[0]} to {some[-1]}, median {middle:g}")
    if without:
        more = ", …" if len(without) > 3 else ""
        names = ", ".join(without[:3])
        lines.append(f"{len(without)} of {len(stimuli)} images without any: {names}{more}")
    if found.px_per_degree is not None:
        lines.append(f"pixels per degree: {found.px_per_degree:.4g}, from the screen's geometry")
    return lines


def _own_table(stimuli: Stimuli, found: Gaze) -> str:
    import pandas as pd

    from ...datasets.texts import csv_of

    names = {stimulus.id: stimulus.file_name for stimulus in stimuli}
    columns = found.fixations.to_columns()
    image = [names[number] for number in columns.pop("image_id")]
    return csv_of(pd.DataFrame({"image": image, **columns}))


def _columns(text: str) -> dict[str, str]:
    from ...datasets.fixations import COLUMNS, OPTIONAL

    ours = ("image", *COLUMNS[1:], *OPTIONAL, "time")
    pairs = [part.split("=", 1) for part in text.split(",") if part.strip()]
    for pair in pairs:
        if len(pair) != 2 or pair[0].strip() not in ours:
            raise InputError(
                f"--columns {'='.join(pair)!r}: expected OURS=THEIRS, ours one of {', '.join(ours)}"
            )
    columns = {name.strip(): theirs.strip() for name, theirs in pairs}
    if len(columns) < len(pairs):
        raise InputError(f"--columns {text!r}: one of our names occurs twice")
    return columns
