"""Bodies of jobs: what may be simulated and measured in the background, and how far it is."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medfloor.service.bodies.fields import Answer, Body, Language, Moment

FILE_PATTERN = r"^[0-9A-Za-z][0-9A-Za-z_-]{0,63}(\.[0-9A-Za-z]{1,8})?$"

FileName = Annotated[str, Field(pattern=FILE_PATTERN)]
"""A name in a folder that the office set: no path leads out of it."""

PolicyName = Annotated[
    str, Field(pattern=r"^(office|[a-z][a-z0-9_-]*(/[a-z0-9][a-z0-9_-]*)+(@\d{4}-\d{2}-\d{2})?)$", max_length=128)
]
"""A policy of the library, such as cn/beijing@2024-01-01, own/<hash>, or `office`; no file of the server is named."""

Column = Annotated[str, Field(pattern=r"^[^\W\d]\w{0,63}$")]

Parameter = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]{0,63}$")]

Value = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]

OPTIMISE_EXAMPLE: dict[str, Any] = {"kind": "optimise", "people": 2000, "minimise": "gap", "looks": 100}
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
    office_year: int | None = Field(None, ge=1900, le=2200, description="The office's own claims of a year, nameless")
    language: Language = "zh"

    @model_validator(mode="after")
    def _is_of_one_population(self) -> SimulateJob:
        if self.office_year is not None and self.population is not None:
            raise PydanticCustomError("two_populations", "give a population or office_year, not both")
        return self


class MeasureJob(Body):
    """Measure financial protection over a table in the office's data folder, or on made-up people. 度量财务保护。"""

    model_config = ConfigDict(json_schema_extra={"examples": [MEASURE_EXAMPLE]})

    kind: Literal["measure"]
    measure: Literal["catastrophic", "impoverishing", "poverty", "concentration", "incidence", "cliff"]
    table: FileName | None = Field(None, description="A table in MEDFLOOR_DATA_FOLDER; none: people are made up")
    people: int = Field(2000, ge=1_000, le=50_000, description="So many made-up people, where there is no table")
    seed: int = Field(1, ge=0, le=2**31 - 1)
    cutoff: float | None = Field(None, gt=0, le=1e9, description="cliff: the line of income a head, yuan a year")
    columns: dict[Column, Column] = Field(default_factory=dict, max_length=40, description="Our name -> the table's")
    by: list[Column] = Field(default_factory=list, max_length=4)
    line: str | None = Field(None, pattern=r"^[0-9a-z@:.-]{1,40}$", description="Poverty line, such as median:0.5")
    language: Language = "zh"

    @model_validator(mode="after")
    def _has_line(self) -> MeasureJob:
        if self.line is None and self.measure in ("poverty", "impoverishing"):
            raise PydanticCustomError("line_missing", "this measure needs a line")
        return self


class OptimiseJob(Body):
    """Find the package of named numbers that protects best within today's budget, on made-up people. 优化方案。"""

    model_config = ConfigDict(json_schema_extra={"examples": [OPTIMISE_EXAMPLE]})

    kind: Literal["optimise"]
    people: int = Field(5000, ge=1_000, le=50_000, description="So many made-up people")
    seed: int = Field(1, ge=0, le=2**31 - 1)
    baseline: PolicyName = "synthetic/cn-2025"
    vary: str | None = Field(None, min_length=1, max_length=16_000, description="Levers as TOML; none: those shipped")
    minimise: Literal["headcount", "gap", "overshoot", "poverty-gap"] = "headcount"
    looks: int = Field(300, ge=20, le=5_000, description="How many packages to try")


class _Projected(Body):
    population: FileName | None = Field(None, description="A folder in MEDFLOOR_DATA_FOLDER; none: the nation's series")
    policy: PolicyName | None = Field(None, description="The law of the population; none: policy.yaml of its folder")
    year: int | None = Field(None, ge=1900, le=2200)
    years: int = Field(20, ge=1, le=40)
    paths: int = Field(2_000, ge=100, le=10_000)
    seed: int = Field(20201123, ge=0, le=2**31 - 1)
    lines: list[Annotated[float, Field(gt=0, le=60)]] = Field(default=[3.0, 6.0, 9.0], min_length=1, max_length=6)
    given: dict[Parameter, Value] = Field(default_factory=dict, max_length=20, description="Parameters to replace")


class ProjectJob(_Projected):
    """Project the funds: fans, reserve lines, sensitivity. 基金预测。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "project", "years": 20, "paths": 2000}]})

    kind: Literal["project"]


class ContrastJob(_Projected):
    """Hold two projections against each other on the same people and shocks: as it is, and changed. 基金对比。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"kind": "contrast", "years": 10, "against": {"growth.long_run": 4.0}}]}
    )

    kind: Literal["contrast"]
    reforms: list[Annotated[str, Field(min_length=1, max_length=64_000)]] = Field(
        default_factory=list, max_length=5, description="Reforms as YAML text, laid over the law of the population"
    )
    law: PolicyName | None = Field(None, description="Another law, under which the population is settled instead")
    against: dict[Parameter, Value] = Field(
        default_factory=dict, max_length=20, description="Parameters of the second projection, beside those of `given`"
    )

    @model_validator(mode="after")
    def _changes_something(self) -> ContrastJob:
        if not (self.reforms or self.law or self.against):
            raise PydanticCustomError("nothing_to_compare", "give reforms, another law, or other parameters")
        if self.population is None and (self.reforms or self.law):
            raise PydanticCustomError("law_without_people", "a law is settled over people; give a population")
        return self


class BacktestJob(Body):
    """Fit a projection of the nation to 2020-2022, and hold it against what happened to 2025. 基金预测回测。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "backtest", "paths": 2000}]})

    kind: Literal["backtest"]
    paths: int = Field(2_000, ge=100, le=10_000)
    seed: int = Field(20201123, ge=0, le=2**31 - 1)
    given: dict[Parameter, Value] = Field(default_factory=dict, max_length=20, description="Parameters to replace")


class PoolJob(Body):
    """Pool counties: ruin by size, designs, transfers between places. 统筹层次比较。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "pool", "share": 0.1, "months": 3.0}]})

    kind: Literal["pool"]
    places: FileName | None = Field(None, description="Places in MEDFLOOR_DATA_FOLDER; none: made-up counties")
    share: float = Field(0.1, ge=0, le=1)
    months: float = Field(0.0, ge=0, le=60)
    common: float = Field(0.05, ge=0, le=1)
    use_response: float = Field(0.0, ge=0, le=1)
    hazard: float = Field(0.0, ge=0, le=1)
    draws: int = Field(2_000, ge=200, le=20_000)
    seed: int = Field(20201123, ge=0, le=2**31 - 1)


class AdjustJob(Body):
    """Propose next year's benefits by the published table of steps. 待遇调整。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "adjust", "start": {"ratio": 75.0}}]})

    kind: Literal["adjust"]
    years: int = Field(20, ge=1, le=40)
    paths: int = Field(1_000, ge=100, le=5_000)
    seed: int = Field(20201123, ge=0, le=2**31 - 1)
    start: dict[Parameter, Value] = Field(default_factory=dict, max_length=8, description="Where a benefit stands now")
    given: dict[Parameter, Value] = Field(default_factory=dict, max_length=20, description="Parameters to replace")


class SuperviseJob(Body):
    """Look claims over by rules, for who may read settlements: findings are leads with evidence. 基金监管线索。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "supervise", "office_year": 2024}]})

    kind: Literal["supervise"]
    population: FileName | None = Field(None, description="A folder in MEDFLOOR_DATA_FOLDER with claims and people")
    office_year: int | None = Field(None, ge=1900, le=2200, description="The office's own claims of this year")

    @model_validator(mode="after")
    def _is_of_one_population(self) -> SuperviseJob:
        if (self.office_year is None) == (self.population is None):
            raise PydanticCustomError("two_populations", "give a population or office_year, one of them")
        return self


class StudyJob(Body):
    """Run a study, on a folder of data or on made-up files. 运行研究。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "study", "study": "two-provinces"}]})

    kind: Literal["study"]
    study: Literal["cii-poverty", "urrbmi-relative-poverty", "integration", "county-ledger", "two-provinces"]
    data: FileName | None = Field(None, description="A folder in MEDFLOOR_DATA_FOLDER; none: files are made up")
    seed: int = Field(1, ge=0, le=2**31 - 1)


JobBody = Annotated[
    SimulateJob
    | MeasureJob
    | OptimiseJob
    | ProjectJob
    | ContrastJob
    | BacktestJob
    | PoolJob
    | AdjustJob
    | SuperviseJob
    | StudyJob,
    Field(discriminator="kind"),
]

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
