"""Validated parts of JSON files that keep unknown keys."""

from pydantic import BaseModel, ConfigDict


class Kept(BaseModel):
    """A JSON object whose unknown keys survive reading and writing."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
