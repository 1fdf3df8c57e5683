"""The formats that tables are printed in."""

from __future__ import annotations

from typing import Literal

Format = Literal["table", "md", "csv", "json", "latex", "html"]
