"""Run the tutorials and write them as pages with their output: ``notebooks.py [NAME …]``.

A tutorial is a notebook in jupytext's percent format, ``tutorials/NAME.py``; its page is
``tutorials/NAME.md`` with pictures in ``NAME_files/``. It runs in an empty folder.
"""

import io
import re
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import jupytext
import nbconvert
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image
from traitlets.config import Config

import salprobe as sp

TUTORIALS = Path(__file__).parent / "tutorials"
SOURCE = "<!-- Made by `make tutorials` from {0}.py: change that. -->\n\n"


def executed(name: str) -> NotebookNode:
    """Return a tutorial with the output of its cells; a cell that fails raises."""
    notebook = jupytext.read(TUTORIALS / f"{name}.py")
    with TemporaryDirectory() as folder:
        sockets = Config(KernelManager={"transport": "ipc", "ip": f"{folder}/kernel"})  # no port
        place = {"metadata": {"path": folder}}
        NotebookClient(notebook, config=sockets, timeout=3600, resources=place).execute()
    return notebook


def write_page(name: str, notebook: NotebookNode) -> None:
    """Write a tutorial's page; a picture is described by ``alt`` of its cell."""
    pictures = TUTORIALS / f"{name}_files"
    text, resources = nbconvert.MarkdownExporter().from_notebook_node(
        notebook, {"output_files_dir": pictures.name, "unique_key": name}
    )
    shutil.rmtree(pictures, ignore_errors=True)
    pictures.mkdir()
    for path, content in resources["outputs"].items():
        picture = Image.open(io.BytesIO(content)).convert("RGB").quantize(256)
        picture.save(TUTORIALS / path, optimize=True)

    def described(found: re.Match[str]) -> str:
        return f"![{notebook.cells[int(found[2])].metadata['alt']}]({found[1]})"

    text = re.sub(rf"!\[png\]\(({name}_files/{name}_(\d+)_\d+\.png)\)", described, text)
    text = re.sub(r"<style.*?</style>\n?", "", text, flags=re.DOTALL)
    text = re.sub(r' border="1" class="dataframe"| style="text-align: right;"', "", text)
    text = re.sub(r"\n\s*\n\s*\n+", "\n\n", text)
    (TUTORIALS / f"{name}.md").write_text(SOURCE.format(name) + text.lstrip(), encoding="utf-8")


def main(names: list[str]) -> None:
    for name in names or sorted(path.stem for path in TUTORIALS.glob("*.py")):
        if name == "osie":
            try:
                sp.load_dataset("osie")
            except sp.InputError as error:
                print(f"osie: skipped, its page stays as it is: {error}")
                continue
        write_page(name, executed(name))


if __name__ == "__main__":
    main(sys.argv[1:])
