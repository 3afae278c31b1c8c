"""Bodies of exports: what one is for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Body, PlainText

EXPORT_EXAMPLE: dict[str, Any] = {"purpose": "study of 2025", "format": "csv"}


class ExportBody(Body):
    """What an export is for. 脱敏导出。"""

    model_config = ConfigDict(json_schema_extra={"examples": [EXPORT_EXAMPLE]})

    purpose: PlainText = Field(description="Another purpose gives other pseudonyms. 用途，不同用途编号不同")
    format: Literal["csv", "parquet"] = "parquet"
