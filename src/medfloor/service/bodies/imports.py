"""Bodies of imports: what a file of another department changed, what differed, and which rows were refused."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, DayOut, Moment

IMPORT_EXAMPLE: dict[str, Any] = {
    "import_id": 4,
    "kind": "spells",
    "source": "civil_affairs",
    "as_of": "2024-02-29",
    "started_at": "2024-03-01T01:00:00.000+00:00",
    "finished_at": "2024-03-01T01:00:02.000+00:00",
    "recorded_by": "clerk1",
    "rows_in": 120,
    "rows_accepted": 118,
    "rows_rejected": 2,
    "rows_added": 10,
    "rows_changed": 3,
    "rows_ended": 1,
    "rows_unchanged": 104,
    "repeated": False,
}


class ImportAnswer(Answer):
    """One file that came in, with its counts; rows_in = rows_accepted + rows_rejected. 一次导入及其行数。"""

    model_config = ConfigDict(json_schema_extra={"examples": [IMPORT_EXAMPLE]})

    import_id: int
    kind: str
    source: str
    as_of: DayOut | None = Field(None, description="The day for which the department vouches. 数据截止日")
    started_at: Moment | None = None
    finished_at: Moment | None = None
    recorded_by: str | None = None
    rows_in: int
    rows_accepted: int
    rows_rejected: int
    rows_added: int
    rows_changed: int
    rows_ended: int
    rows_unchanged: int
    repeated: bool = Field(False, description="The same file had come before; nothing was changed. 重复文件，未作变更")


class ImportReportAnswer(ImportAnswer):
    """A file that was just taken in: also how its columns were understood and what was left out. 导入报告。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    **IMPORT_EXAMPLE,
                    "columns": {"身份证号": "identity_number", "人员类别": "group"},
                    "ignored": ["备注"],
                    "not_taken": [],
                    "reasons": {"bad_identity_number": 2},
                    "matched": {"identity": 118},
                    "conflicts": 0,
                    "held_back": 0,
                    "arrears": 1,
                }
            ]
        }
    )

    columns: dict[str, str] = Field(description="The file's names of columns -> ours. 列名对照")
    ignored: list[str]
    not_taken: list[str] = Field(description="Columns that this department may not state. 该部门无权认定的列")
    reasons: dict[str, int] = Field(description="Refused rows by reason. 拒收原因")
    matched: dict[str, int] = Field(description="Accepted rows by how their person was found. 匹配方式")
    conflicts: int
    held_back: int
    arrears: int = Field(description="Arrears found because the past changed. 由此产生的应补应退数")


class ImportsPage(Answer):
    """A page of imports, in the order in which they came. 导入列表。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"items": [IMPORT_EXAMPLE], "next": None}]})

    items: list[ImportAnswer]
    next: str | None = Field(None, description="Cursor of the next page. 下一页游标")


class DifferenceAnswer(Answer):
    """One thing that an import changed. 导入引起的一项变化。"""

    person_id: str | None = None
    kind: str = Field(description="added, changed, ended or conflict. 变化类型")
    field: str
    before: str | None = None
    after: str | None = None


class DifferencesPage(Answer):
    """A page of what an import changed. 变化列表。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [
                        {
                            "person_id": "p1",
                            "kind": "added",
                            "field": "spell:dibao",
                            "before": None,
                            "after": "2024-02-01/",
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    items: list[DifferenceAnswer]
    next: str | None = None


class RejectAnswer(Answer):
    """One row that was refused; the row itself stays sealed. 一条被拒收的行，原始行加密保存。"""

    row: int
    reason: str
    detail: str


class RejectsPage(Answer):
    """A page of refused rows. 拒收列表。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "items": [{"row": 17, "reason": "bad_identity_number", "detail": "the check digit is not right"}],
                    "next": None,
                }
            ]
        }
    )

    items: list[RejectAnswer]
    next: str | None = None
