"""Small exports of eye trackers' programs, written as their manuals describe them.

All hold the same gaze on pictures of 40×30 that were centred on a screen of 100×80: `KEPT`.
Besides, each has rows that have no place on a picture.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from salprobe.datasets.gaze.placement import Placement
from salprobe.datasets.gaze.settings import TableFormat

KEPT = [
    ("beach.jpg", "P01", 10, 20, 200.0),
    ("beach.jpg", "P01", 5, 5, 150.0),
    ("küche.png", "P02", 30, 12, 300.0),
]
SCREEN = TableFormat(placement=Placement((100, 80)))


def write_pictures(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for name in ("beach.jpg", "küche.png"):
        Image.new("RGB", (40, 30), "teal").save(folder / name)


def table(header: str, rows: list[str], sign: str = "\t") -> str:
    """Return a table whose cells are written with | between them."""
    return "\r\n".join(line.replace("|", sign) for line in (header, *rows)) + "\r\n"


DATA_VIEWER = "RECORDING_SESSION_LABEL|TRIAL_INDEX|image|CURRENT_FIX_INDEX|CURRENT_FIX_START|"
DATA_VIEWER += "CURRENT_FIX_END|CURRENT_FIX_DURATION|CURRENT_FIX_X|CURRENT_FIX_Y|CURRENT_FIX_PUPIL"
DATA_VIEWER_ROWS = [
    "P01|1|beach.jpg|1|4|203|200|40.0|45.0|812.0",
    "P01|1|beach.jpg|2|240|389|150|35.2|30.1|801.0",
    "P01|1|beach.jpg|3|420|500|81|.|.|.",
    "P01|2|.|1|4|203|200|50.0|40.0|812.0",
    "P02|1|küche.png|1|10|309|300|60.4|36.6|790.0",
    "P02|1|küche.png|2|10|309|300|99.0|79.0|790.0",
    "P02|2|break.png|1|10|309|300|50.0|40.0|790.0",
]


def data_viewer(folder: Path) -> Path:
    path = folder / "fixations.txt"
    path.write_text(table(DATA_VIEWER, DATA_VIEWER_ROWS), "utf-8")
    return path


def data_viewer_utf16(folder: Path) -> Path:
    """With paths before the images, in another case, and decimal commas."""
    rows = [
        row.replace("beach.jpg", r"D:\exp\images\Beach.JPG").replace(".0|", ",0|")
        for row in DATA_VIEWER_ROWS
    ]
    rows = [row.replace("35.2|30.1|801.0", "35,2|30,1|801,0") for row in rows]
    rows = [row.replace("60.4|36.6", "60,4|36,6").replace("2.0", "2,0") for row in rows]
    rows = [row.replace("790.0", "790,0") for row in rows]
    path = folder / "report.txt"
    path.write_bytes(table(DATA_VIEWER, rows).encode("utf-16"))
    return path


ASC = """** CONVERTED FROM {name}.edf using edfapi 4.2.1 Linux
** DATE: Tue Mar  3 10:00:00 2026
** TYPE: EDF_FILE BINARY EVENT SAMPLE TAGGED
**
MSG\t1000000 DISPLAY_COORDS 0 0 99 79
MSG\t1000010 TRIALID 1
START\t1000020 \tLEFT\tEVENTS
PRESCALER\t1
VPRESCALER\t1
PUPIL\tAREA
EVENTS\tGAZE\tLEFT\tRATE\t1000.00\tTRACKING\tCR\tFILTER\t2
SFIX L   1000061
EFIX L   1000061\t1000120\t60\t   50.0\t   40.0\t    800
MSG\t1000100 -3 !V IMGLOAD CENTER {picture} 50 40
{events}
MSG\t1000900 !V CLEAR 128 128 128
SFIX L   1000910
EFIX L   1000910\t1000950\t41\t   50.0\t   40.0\t    800
MSG\t1000960 TRIAL_RESULT 0
END\t1000970 \tEVENTS\tRES\t  32.11\t  31.04
"""


def asc(folder: Path) -> Path:
    target = folder / "asc"
    target.mkdir()
    first = "EFIX L   1000110\t1000309\t200\t   40.0\t   45.0\t    812\n"
    first += "ESACC L  1000310\t1000330\t21\t  40.0\t  45.0\t  35.2\t  30.1\t   0.90\t    95\n"
    first += "EFIX L   1000331\t1000480\t150\t   35.2\t   30.1\t    801\n"
    first += "EFIX L   1000500\t1000560\t61\t      .\t      .\t      0"
    second = "EFIX R   1000110\t1000409\t300\t   60.4\t   36.6\t    790\n"
    second += "EFIX R   1000420\t1000460\t41\t   99.0\t   79.0\t    790"
    for name, picture, events in (
        ("P01", "images/beach.jpg", first),
        ("P02", "images/küche.png", second.replace("EFIX R", "EFIX R")),
    ):
        (target / f"{name}.asc").write_text(
            ASC.format(name=name, picture=picture, events=events), "utf-8"
        )
    return target


PRO_LAB = (
    "Recording timestamp|Computer timestamp|Sensor|Participant name|Recording name|"
    "Recording resolution height|Recording resolution width|Presented Stimulus name|"
    "Presented Media name|Presented Media width|Presented Media height|"
    "Presented Media position X (DACSpx)|Presented Media position Y (DACSpx)|"
    "Gaze point X|Gaze point Y|Eye movement type|Gaze event duration|Eye movement type index|"
    "Fixation point X|Fixation point Y"
)


def _pro_lab_row(time: int, who: str, media: str, kind: str, index: str, at: str) -> str:
    where = "40|30|30|25" if media else "|||"
    name = f"{media.split('.')[0]}|{media}" if media else "|"
    return (
        f"{time}|{time}|Eye Tracker|{who}|Rec {who}|80|100|{name}|{where}|41|44|{kind}|{index}|{at}"
    )


PRO_LAB_ROWS = [
    _pro_lab_row(0, "P01", "", "Fixation", "100|1", "50|40"),
    _pro_lab_row(8, "P01", "beach.jpg", "Fixation", "200|2", "40|45"),
    _pro_lab_row(16, "P01", "beach.jpg", "Fixation", "200|2", "40|45"),
    _pro_lab_row(25, "P01", "beach.jpg", "Saccade", "20|1", "|"),
    _pro_lab_row(33, "P01", "beach.jpg", "Fixation", "150|3", "35,2|30,1"),
    _pro_lab_row(41, "P01", "beach.jpg", "EyesNotFound", "30|1", "|"),
    _pro_lab_row(50, "P01", "beach.jpg", "Fixation", "80|4", "|"),
    _pro_lab_row(0, "P02", "küche.png", "Fixation", "300|1", "60,4|36,6"),
    _pro_lab_row(8, "P02", "küche.png", "Fixation", "300|2", "99|79"),
    _pro_lab_row(16, "P02", "break.png", "Fixation", "300|3", "50|40"),
    _pro_lab_row(24, "P02", "küche.png", "Unclassified", "8|1", "|"),
]


def pro_lab(folder: Path) -> Path:
    """With tabs and decimal commas."""
    path = folder / "Data Export.tsv"
    path.write_text(table(PRO_LAB, PRO_LAB_ROWS), "utf-8-sig")
    return path


def pro_lab_units(folder: Path) -> Path:
    """As newer versions write the columns, in another case, with semicolons."""
    header = PRO_LAB.replace("Recording timestamp", "Recording timestamp [μs]")
    header = header.replace("Gaze event duration", "Gaze event duration [ms]")
    header = header.replace("Fixation point X|Fixation point Y", "fixation point x [DACS px]|")
    header += "fixation point y [DACS px]"
    path = folder / "Data Export.csv"
    path.write_text(table(header, PRO_LAB_ROWS, ";"), "utf-8")
    return path


def studio(folder: Path) -> Path:
    """Positions on the picture itself, in UTF-16."""
    header = (
        "ExportDate|StudioVersionRec|ParticipantName|RecordingName|MediaName|MediaPosX (ADCSpx)|"
        "RecordingTimestamp|FixationIndex|SaccadeIndex|GazeEventType|GazeEventDuration|"
        "FixationPointX (MCSpx)|FixationPointY (MCSpx)"
    )
    start = "03/03/2026|3.4.8"
    rows = [
        f"{start}|P01|Rec 01|beach.jpg|30|10|1||Fixation|200|10|20",
        f"{start}|P01|Rec 01|beach.jpg|30|13|1||Fixation|200|10|20",
        f"{start}|P01|Rec 01|beach.jpg|30|16||1|Saccade|20||",
        f"{start}|P01|Rec 01|beach.jpg|30|20|2||Fixation|150|5|5",
        f"{start}|P01|Rec 01|beach.jpg|30|23|3||Fixation|80||",
        f"{start}|P01|Rec 01|||26|4||Fixation|80|9|9",
        f"{start}|P02|Rec 02|küche.png|30|10|1||Fixation|300|30|12",
        f"{start}|P02|Rec 02|küche.png|30|20|2||Fixation|300|69|54",
        f"{start}|P02|Rec 02|break.png|30|30|3||Fixation|300|20|15",
    ]
    path = folder / "studio.tsv"
    path.write_bytes(table(header, rows).encode("utf-16"))
    return path


def begaze(folder: Path, who: str = "Participant") -> Path:
    header = (
        f"Trial|Stimulus|{who}|Color|Category Group|Category|Eye L/R|Index|"
        "Event Start Trial Time [ms]|Event End Trial Time [ms]|Event Duration [ms]|"
        "Fixation Position X [px]|Fixation Position Y [px]|AOI Name"
    )
    rows = [
        "Trial001|beach.jpg|P01|Red|Eye|Fixation|Right|1|0,0|200,0|200,0|40,0|45,0|White Space",
        "Trial001|beach.jpg|P01|Red|Eye|Saccade|Right|1|200,0|220,0|20,0|-|-|-",
        "Trial001|beach.jpg|P01|Red|Eye|Fixation|Right|2|220,0|370,0|150,0|35,2|30,1|-",
        "Trial001|beach.jpg|P01|Red|Eye|Blink|Right|1|370,0|400,0|30,0|-|-|-",
        "Trial001|beach.jpg|P01|Red|Eye|Fixation|Right|3|400,0|480,0|80,0|-|-|-",
        "Trial002|-|P01|Red|Eye|Fixation|Right|1|0,0|80,0|80,0|50,0|40,0|-",
        "Trial001|küche.png|P02|Blue|Eye|Fixation|Left|1|0,0|300,0|300,0|60,4|36,6|-",
        "Trial001|küche.png|P02|Blue|Eye|Fixation|Left|2|0,0|300,0|300,0|99,0|79,0|-",
        "Trial002|break.png|P02|Blue|Eye|Fixation|Left|1|0,0|300,0|300,0|50,0|40,0|-",
    ]
    path = folder / "Event Statistics.txt"
    path.write_text(table(header, rows, ";" if who == "Subject" else "\t"), "cp1252")
    return path


def begaze_older(folder: Path) -> Path:
    """With ``Subject``, semicolons and comments above."""
    path = begaze(folder, "Subject")
    text = path.read_bytes()
    path.write_bytes(b"## [BeGaze]\r\n## Version:\tBeGaze 3.4.52\r\n\r\n" + text)
    return path


GAZEPOINT = (
    "MEDIA_ID,MEDIA_NAME,CNT,TIME(2026/03/03 10:00:00.000),TIMETICK(f=10000000),"
    "FPOGX,FPOGY,FPOGS,FPOGD,FPOGID,FPOGV,BPOGX,BPOGY,BPOGV,USER,"
)


def gazepoint(folder: Path) -> Path:
    """One row a fixation. A fraction f of 100 px is the pixel 100·f - 0.5."""
    target = folder / "gazepoint"
    target.mkdir()
    for name, rows in (
        (
            "P01",
            [
                "0,beach.jpg,10,0.2,1,0.40500,0.56875,0.00000,0.20000,1,1,0.4,0.5,1,,",
                "0,beach.jpg,20,0.4,1,0.35700,0.38250,0.24000,0.15000,2,1,0.4,0.5,1,,",
                "0,beach.jpg,25,0.5,1,0.35700,0.38250,0.40000,0.05000,3,0,0.4,0.5,1,,",
                "1,,30,0.5,1,0.50000,0.50000,0.50000,0.05000,4,1,0.4,0.5,1,,",
            ],
        ),
        (
            "P02",
            [
                "0,küche.png,10,0.3,1,0.60900,0.46375,0.00000,0.30000,1,1,0.4,0.5,1,,",
                "0,küche.png,11,0.3,1,0.99500,0.99375,0.00000,0.30000,2,1,0.4,0.5,1,,",
                "1,break.png,12,0.3,1,0.50000,0.50000,0.00000,0.30000,3,1,0.4,0.5,1,,",
            ],
        ),
    ):
        text = "\n".join((GAZEPOINT, *rows)) + "\n"
        (target / f"{name}_fixations.csv").write_text(text, "utf-8")
    return target


def gazepoint_all(folder: Path) -> Path:
    """One row a sample, with the fixation so far."""
    target = folder / "gazepoint"
    target.mkdir()
    first = [
        "0,beach.jpg,1,0.1,1,0.41000,0.57000,0.00000,0.10000,1,1,0.4,0.5,1,,",
        "0,beach.jpg,2,0.2,1,0.40500,0.56875,0.00000,0.20000,1,1,0.4,0.5,1,,",
        "0,beach.jpg,3,0.3,1,0.36000,0.39000,0.24000,0.05000,2,1,0.4,0.5,1,,",
        "0,beach.jpg,4,0.4,1,0.35700,0.38250,0.24000,0.15000,2,1,0.4,0.5,1,,",
        "0,beach.jpg,5,0.5,1,0.90000,0.90000,0.24000,0.15000,2,0,0.4,0.5,1,,",
    ]
    second = [
        "1,küche.png,10,0.3,1,0.60900,0.46375,0.00000,0.30000,1,1,0.4,0.5,1,,",
        "1,küche.png,11,0.3,1,0.99500,0.99375,0.00000,0.30000,2,1,0.4,0.5,1,,",
    ]
    for name, rows in (("P01", first), ("P02", second)):
        text = "\n".join((GAZEPOINT, *rows)) + "\n"
        (target / f"{name}_all_gaze.csv").write_text(text, "utf-8")
    return target


def pupil_surface(folder: Path) -> Path:
    """A row for each frame; y is a fraction from below: 1 - (20 + 0.5) / 30."""
    target = folder / "pupil"
    header = (
        "world_timestamp,world_index,fixation_id,start_timestamp,duration,dispersion,"
        "norm_pos_x,norm_pos_y,x_scaled,y_scaled,on_surf"
    )
    for who, surface, rows in (
        (
            "P01",
            "beach",
            [
                "1.0,10,1,1.0,200.0,1.1,0.2600,0.3100,0.26,0.31,True",
                "1.1,11,1,1.0,200.0,1.1,0.2650,0.323333,0.265,0.32,True",
                "1.2,12,2,1.2,150.0,0.9,0.1375,0.816667,0.1375,0.81,True",
                "1.3,13,3,1.3,150.0,0.9,1.1375,0.816667,1.1375,0.81,False",
            ],
        ),
        ("P02", "küche", ["1.0,10,1,1.0,300.0,1.1,0.7625,0.583333,0.76,0.58,True"]),
    ):
        place = target / who / "000" / "exports" / "000" / "surfaces"
        place.mkdir(parents=True)
        text = "\n".join((header, *rows)) + "\n"
        (place / f"fixations_on_surface_{surface}.csv").write_text(text, "utf-8")
    return target


def pupil_cloud(folder: Path) -> Path:
    header = (
        "section id,recording id,fixation id,start timestamp [ns],end timestamp [ns],"
        "duration [ms],fixation detected in reference image,fixation x [px],fixation y [px]"
    )
    rows = [
        "s1,P01,1,1675774666100000000,1675774666300000000,200,true,10,20",
        "s1,P01,2,1675774666400000000,1675774666550000000,150,true,5,5",
        "s1,P01,3,1675774666600000000,1675774666700000000,100,false,,",
        "s1,P02,1,1675774666100000000,1675774666400000000,300,true,30,12",
    ]
    path = folder / "fixations.csv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def psychopy(folder: Path) -> Path:
    """From the screen's centre, y upwards: (40.5 - 50, 40 - 45.5)."""
    header = "participant,image,eye,start_time,end_time,duration,average_gaze_x,average_gaze_y"
    rows = [
        "P01,images/beach.jpg,22,1.0,1.2,0.2,-9.5,-5.5",
        "P01,images/beach.jpg,22,1.3,1.45,0.15,-14.4,9.4",
        "P01,images/beach.jpg,22,1.5,1.6,0.1,,",
        "P01,,22,1.5,1.6,0.1,0,0",
        "P02,images/küche.png,21,1.0,1.3,0.3,10.6,2.6",
        "P02,images/küche.png,21,1.0,1.3,0.3,49,-39",
        "P02,images/break.png,21,1.0,1.3,0.3,0,0",
    ]
    path = folder / "P01_events.csv"
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def pymovements(folder: Path) -> Path:
    header = "subject_id,image_name,name,onset,offset,duration,location_x,location_y"
    rows = [
        "P01,beach.jpg,fixation_ivt,0,200,200,40.0,45.0",
        "P01,beach.jpg,saccade,200,220,20,,",
        "P01,beach.jpg,fixation_ivt,220,370,150,35.2,30.1",
        "P01,beach.jpg,fixation_ivt,380,390,10,NaN,NaN",
        "P02,küche.png,fixation_ivt,0,300,300,60.4,36.6",
        "P02,break.png,fixation_ivt,0,300,300,50.0,40.0",
    ]
    path = folder / "events.csv"
    path.write_text("\n".join((header, *rows)) + "\n", "utf-8")
    return path


def plain(folder: Path) -> Path:
    """Our own columns in another case, with semicolons, decimal commas and comments."""
    text = "# gaze of two people\n\nSubject;Image;X;Y;Duration_ms\n"
    text += "P01;beach;10,2;20,4;200\nP01;beach;5,0;4,6;150\n# a break\n"
    text += "P02;ku\u0308che.bmp;30;12;300\nP02;ku\u0308che.bmp;;;300\n"
    path = folder / "gaze.txt"
    path.write_text(text, "utf-8")
    return path


def bids(folder: Path) -> Path:
    """A tracker's clock in ms, whose first sample is 0.5 s before the task's zero."""
    top = folder / "bids"
    screen = {
        **{"ScreenDistance": 0.6, "ScreenOrigin": ["top", "left"], "ScreenRefreshRate": 60},
        **{"ScreenResolution": [100, 80], "ScreenSize": [0.4, 0.32]},
    }
    gaze = {
        "Columns": ["timestamp", "x_coordinate", "y_coordinate", "pupil_size"],
        **{"PhysioType": "eyetrack", "RecordedEye": "right", "SamplingFrequency": 20},
        **{"SampleCoordinateSystem": "gaze-on-screen", "StartTime": -0.5},
        **{"timestamp": {"Units": "ms"}, "x_coordinate": {"Units": "pixel"}},
        **{"y_coordinate": {"Units": "pixel"}, "pupil_size": {"Units": "arbitrary"}},
    }
    columns = ["onset", "duration", "trial_type", "blink", "message"]
    top.mkdir()
    (top / "dataset_description.json").write_text('{"Name": "toy", "BIDSVersion": "1.11.0"}')
    (top / "task-look_events.json").write_text(json.dumps({"StimulusPresentation": screen}))
    (top / "task-look_recording-eye1_physio.json").write_text(json.dumps(gaze))
    events = {"Columns": columns, "OnsetSource": "timestamp"}
    (top / "task-look_recording-eye1_physioevents.json").write_text(json.dumps(events))
    first = {(100, 300): (40, 45), (350, 500): (35.2, 30.1), (550, 600): None}
    for who, picture, fixations in (
        ("P01", "images/beach.jpg", first),
        ("P02", "images/küche.png", {(100, 400): (60.4, 36.6), (450, 500): (99, 79)}),
    ):
        place = top / f"sub-{who}" / "beh"
        place.mkdir(parents=True)
        base = f"sub-{who}_task-look"
        shown = (
            f"onset\tduration\ttrial_type\tstim_file\n0.0\t1.0\tlook\t{picture}\n2\t1\trest\tn/a\n"
        )
        (place / f"{base}_events.tsv").write_text(shown, "utf-8")
        times = range(7_000_000, 7_002_000, 50)
        lines, marks = [], ['7000000\tn/a\tn/a\tn/a\t"RECCFG CR 1000']
        marks.append("7000100\t100\tfixation\t0\tn/a")
        for time in times:
            x, y = "n/a", "n/a"
            for (a, b), at in fixations.items():
                if a <= time - 7_000_500 <= b and at:  # gaze drifts from -1 to 1 about the place
                    drift = 2 * (time - 7_000_500 - a) / (b - a) - 1
                    x, y = f"{at[0] + drift:.6f}", f"{at[1] - drift:.6f}"
            lines.append(f"{time}\t{x}\t{y}\t4612.0")
        for a, b in fixations:
            marks.append(f"{7_000_500 + a}\t{b - a}\tfixation\t0\tn/a")
            marks.append(f"{7_000_500 + b}\t20\tsaccade\t0\tn/a")
        for suffix, text in (("physio", lines), ("physioevents", marks)):
            with gzip.open(place / f"{base}_recording-eye1_{suffix}.tsv.gz", "wt") as file:
                file.write("\n".join(text) + "\n")
    return top


@dataclass(frozen=True)
class Case:
    """An export, how it is read, what it is recognised as, and what is dropped."""

    write: Callable[[Path], Path]
    form: str
    dropped: dict[str, int]
    settings: TableFormat = field(default=SCREEN)
    words: tuple[str, ...] = ()


_ALL = {"position": 1, "without an image": 1, "outside": 1, "not on one": 1}
CASES = {
    "Data Viewer": Case(
        data_viewer, "EyeLink Data Viewer, fixation report", _ALL, words=("UTF-8, tabs",)
    ),
    "Data Viewer, UTF-16": Case(
        data_viewer_utf16,
        "EyeLink Data Viewer, fixation report",
        _ALL,
        words=("UTF-16, tabs, decimal commas", "1 without its path"),
    ),
    "EyeLink .asc": Case(
        asc,
        "EyeLink .asc, fixation events",
        {"position": 1, "outside": 1, "no image was shown": 4},
        TableFormat(),
        ("image: !V IMGLOAD", "where the file says"),
    ),
    "Tobii Pro Lab": Case(
        pro_lab, "Tobii Pro Lab, data export", _ALL, TableFormat(), ("tabs, decimal commas",)
    ),
    "Tobii Pro Lab, units in the columns": Case(
        pro_lab_units, "Tobii Pro Lab, data export", _ALL, TableFormat(), ("semicolons",)
    ),
    "Tobii Studio": Case(studio, "Tobii Studio, data export", _ALL, TableFormat()),
    "BeGaze": Case(begaze, "SMI BeGaze, events", _ALL, words=("Windows-1252",)),
    "BeGaze, older": Case(
        begaze_older, "SMI BeGaze, events", _ALL, words=("2 other lines", "subject: Subject")
    ),
    "Gazepoint, fixations": Case(
        gazepoint, "Gazepoint Analysis", {"without an image": 1, "outside": 1, "not on one": 1}
    ),
    "Gazepoint, all gaze": Case(gazepoint_all, "Gazepoint Analysis", {"outside": 1}),
    "Pupil Player": Case(
        pupil_surface, "Pupil Player, fixations on a surface", {}, TableFormat(), ("lower left",)
    ),
    "Pupil Cloud": Case(pupil_cloud, "Pupil Cloud, Reference Image Mapper", {}, TableFormat(), ()),
    "PsychoPy": Case(psychopy, "PsychoPy ioHub, fixation end events", _ALL),
    "pymovements": Case(pymovements, "pymovements, events", {"position": 1, "not on one": 1}),
    "plain": Case(
        plain,
        "a table of fixations",
        {"position": 1},
        TableFormat(),
        ("UTF-8, semicolons, decimal commas, 2 other lines", "without its suffix"),
    ),
    "BIDS": Case(
        bids,
        "BIDS eye tracking",
        {"position": 1, "outside": 1, "no image was shown": 2},
        TableFormat(),
        ("centred (assumed: --image-at)",),
    ),
}
