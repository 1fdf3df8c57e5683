"""Description of a published dataset: size, geometry, sources, licence, hashes."""

from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True)
class Description:
    """A published dataset.

    Attributes
    ----------
    name : str
        Name on the command line.
    title, licence, citation, homepage : str
    size_px, size_deg : (height, width)
        Size of a stimulus, in pixels and in degrees of visual angle.
    base_url : str
        Address that every file is below.
    hashes : str
        Name of the packaged file with a line ``sha256  path`` for each file.
    """

    name: str
    title: str
    licence: str
    citation: str
    homepage: str
    size_px: tuple[int, int]
    size_deg: tuple[float, float]
    base_url: str
    hashes: str

    @property
    def px_per_degree(self) -> float:
        """Pixels in one degree of visual angle, horizontally."""
        return self.size_px[1] / self.size_deg[1]

    def files(self) -> dict[str, str]:
        """Return the SHA-256 of every file by its path below ``base_url``."""
        text = (resources.files(str(__package__)) / self.hashes).read_text("utf-8")
        pairs = (line.split(maxsplit=1) for line in text.strip().split("\n"))
        return {path: digest for digest, path in pairs}
