"""DUT-OMRON (Yang et al. 2013): five subjects on 5168 photographs."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError, reading
from ..progress import Progress
from ..readers.arrays import read_mat
from .gathered import Gathered, by_name, files_below, images_of, rows, whole


def read_dut_omron(root: Path, progress: Progress) -> Gathered:
    """Read DUT-OMRON: ``DUT-OMRON-image/*.jpg`` and ``mat/*.mat``, anywhere below a folder.

    Raises
    ------
    InputError
        If images or fixations are missing, or a file is not DUT-OMRON's.
    """
    files: dict[str, Path] = {}
    for path in files_below(root, "*.mat"):
        if (first := files.setdefault(path.stem, path)) != path:
            raise InputError(f"{path}: the same name as {first.relative_to(root)}")
    pictures = files_below(root, "*.jpg")
    paths = [path for path in pictures if path.stem in files]
    found = Gathered(images_of(root, paths))
    other = 0
    with progress.task("reading dut-omron", len(paths)) as advance:
        for name, image in by_name(found.stimuli).items():
            path = files[Path(name).stem]
            content = read_mat(path)
            with reading(path):
                table = rows(content["s"], 3)
                size, table = table[table[:, 2] == 0], table[table[:, 2] != 0]
                if len(size) != 1:
                    raise InputError(f"{path}: {len(size)} rows of subject 0, expected the size")
                other += sorted(size[0, :2]) != sorted(image.size)
                found.add(image, whole(table[:, 2], "subject"), table[:, 0], table[:, 1])
            advance(1)
    progress.say("dut-omron: positions are taken as 0-based, as zeros occur")
    if bare := len(pictures) - len(paths):
        progress.say(f"dut-omron: {bare} images without fixations left out")
    if lone := len(set(files) - {path.stem for path in paths}):
        progress.say(f"dut-omron: fixations on {lone} images that are not there left out")
    if other:
        progress.say(f"dut-omron: {other} files say another size than that of their image")
    return found
