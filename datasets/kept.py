"""Parts of JSON files that are checked, and keep what they do not know."""

from pydantic import BaseModel, ConfigDict


class Kept(BaseModel):
    """A JSON object whose unknown keys survive a read and a write."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
