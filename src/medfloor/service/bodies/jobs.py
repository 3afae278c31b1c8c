"""Bodies of jobs: what may be simulated and measured in the background, and how far it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medfloor.service.bodies.fields import Answer, Body, Language, Moment

FileName = Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}(\.[0-9A-Za-z]{1,8})?$")]
"""A name in a folder that the office set: no path leads out of it."""

PolicyName = Annotated[
    str, Field(pattern=r"^[a-z][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)+(@\d{4}-\d{2}-\d{2})?$", max_length=128)
]
"""A policy of the library, such as cn/beijing@2024-01-01; files of the server cannot be named."""

Column = Annotated[str, Field(pattern=r"^[^\W\d]\w{0,63}$")]

SIMULATE_EXAMPLE: dict[str, Any] = {
    "kind": "simulate",
    "people": 2000,
    "seed": 1,
    "baseline": "cn/beijing@2024-01-01",
    "reforms": [
        "reform:\n  name: {zh: 共付上限, en: an out-of-pocket cap}\n  baselines: [{policy: cn/beijing@2024-01-01}]\n"
    ],
    "language": "zh",
}
MEASURE_EXAMPLE: dict[str, Any] = {
    "kind": "measure",
    "measure": "catastrophic",
    "table": "survey.csv",
    "columns": {"oop": "med"},
    "by": ["residence"],
    "language": "zh",
}


class SimulateJob(Body):
    """Ask what reforms change: on made-up people, or on a population in the office's data folder. 模拟政策调整。"""

    model_config = ConfigDict(json_schema_extra={"examples": [SIMULATE_EXAMPLE]})

    kind: Literal["simulate"]
    population: FileName | None = Field(None, description="A folder in MEDFLOOR_DATA_FOLDER; none: people are made up")
    people: int = Field(2000, ge=1_000, le=50_000, description="So many made-up people")
    seed: int = Field(1, ge=0, le=2**31 - 1)
    year: int | None = Field(None, ge=1900, le=2200)
    baseline: PolicyName = "cn/beijing@2024-01-01"
    reforms: list[Annotated[str, Field(min_length=1, max_length=64_000)]] = Field(
        min_length=1, max_length=5, description="Reforms as YAML text"
    )
    draws: int = Field(0, ge=0, le=50)
    language: Language = "zh"


class MeasureJob(Body):
    """Measure financial protection over a table in the office's data folder. 度量财务保护。"""

    model_config = ConfigDict(json_schema_extra={"examples": [MEASURE_EXAMPLE]})

    kind: Literal["measure"]
    measure: Literal["catastrophic", "impoverishing", "poverty", "concentration"]
    table: FileName
    columns: dict[Column, Column] = Field(default_factory=dict, max_length=40, description="Our name -> the table's")
    by: list[Column] = Field(default_factory=list, max_length=4)
    line: str | None = Field(None, pattern=r"^[0-9a-z@:.-]{1,40}$", description="Poverty line, such as median:0.5")
    language: Language = "zh"

    @model_validator(mode="after")
    def _has_line(self) -> MeasureJob:
        if self.line is None and self.measure in ("poverty", "impoverishing"):
            raise PydanticCustomError("line_missing", "this measure needs a line")
        return self


JobBody = Annotated[SimulateJob | MeasureJob, Field(discriminator="kind")]

JOB_EXAMPLE: dict[str, Any] = {
    "id": 7, "kind": "simulate", "state": "running", "progress": 40, "message": None, "files": [],
    "created_by": "analyst1", "created_at": "2024-06-03T01:30:00.000Z", "started_at": "2024-06-03T01:30:01.000Z",
    "finished_at": None,
}  # fmt: skip


class JobAnswer(Answer):
    """How far a job is, and the files that it made. 后台任务。"""

    model_config = ConfigDict(json_schema_extra={"examples": [JOB_EXAMPLE]})

    id: int
    kind: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    progress: int = Field(ge=0, le=100, description="per cent")
    message: str | None = Field(description="Why it failed, as a code of docs/rejects.md")
    files: list[str]
    created_by: str
    created_at: Moment
    started_at: Moment | None
    finished_at: Moment | None


class JobList(Answer):
    """Jobs, the newest first. 任务列表。"""

    jobs: list[JobAnswer]
    next: str | None = Field(description="The cursor of older ones. 下一页")
