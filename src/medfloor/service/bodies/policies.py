"""Bodies of policies: the list, one in words, findings of a check, and what changed between two."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from medfloor.service.bodies.fields import Answer, Body, DayOut

LIBRARY_PATTERN = r"^([a-z]{2}|synthetic)(/[a-z0-9][a-z0-9-]{0,31}){1,3}(@[0-9]{4}-[0-9]{2}-[0-9]{2})?$"
"""A policy of the library, such as cn/beijing@2024-01-01."""

ADDRESS_PATTERN = (
    r"^((office|([a-z]{2}|synthetic)(/[a-z0-9][a-z0-9-]{0,31}){1,3})(@[0-9]{4}-[0-9]{2}-[0-9]{2})?|own/[0-9a-f]{16})$"
)
"""A policy of the library, `office` for the one in use, or own/<hash> for one that was brought; never a file."""

Address = Annotated[str, Field(pattern=ADDRESS_PATTERN, max_length=128)]


class PolicyListed(Answer):
    """A place with the dates of its versions. 一地的政策版本。"""

    address: str
    versions: list[DayOut]
    in_use: bool = Field(False, description="The office settles by it. 本机构使用")


class PoliciesAnswer(Answer):
    """The shipped policies and the office's own. 政策列表。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"policies": [{"address": "cn/beijing", "versions": ["2023-01-01", "2026-01-01"], "in_use": True}]}
            ]
        }
    )

    policies: list[PolicyListed]
    next: str | None = Field(None, description="The cursor of the page after. 下一页")


class VersionAnswer(Answer):
    """One version of a law in words. 一个政策版本。"""

    id: str
    name: str
    from_date: DayOut
    to_date: DayOut | None = None
    tiers: list[str]
    text: str = Field(description="Every value with its source. 各数值及出处")


class PolicyAnswer(Answer):
    """A policy in words. 政策全文。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "address": "cn/beijing@2024-01-01",
                    "versions": [
                        {
                            "id": "cn/beijing",
                            "name": "Beijing residents",
                            "from_date": "2023-01-01",
                            "to_date": None,
                            "tiers": ["basic", "critical_illness", "assistance"],
                            "text": "...",
                        }
                    ],
                }
            ]
        }
    )

    address: str
    versions: list[VersionAnswer]


class CheckBody(Body):
    """What is to be checked: a policy of the library, with a reform over it or not, or a policy as text. 政策检查。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"address": "cn/beijing@2026-01-01"}]})

    address: Address | None = None
    text: Annotated[str, Field(min_length=1, max_length=131_072)] | None = Field(
        None, description="A policy file as YAML; it may extend a policy of the library. 政策文件（YAML）"
    )
    reform: Annotated[str, Field(min_length=1, max_length=131_072)] | None = Field(
        None, description="A reform file as YAML, laid over the address. 改革文件（YAML）"
    )

    @model_validator(mode="after")
    def _one(self) -> CheckBody:
        """See that one policy is named, and a reform only over an address."""
        if (self.address is None) == (self.text is None):
            raise PydanticCustomError("check_what", "give either address or text")
        if self.reform is not None and self.address is None:
            raise PydanticCustomError("check_what", "a reform is laid over an address")
        return self


class FindingAnswer(Answer):
    """One finding of a check. 一项检查结果。"""

    code: str
    severity: Literal["error", "warning", "notice"]
    path: str
    line: int
    file: str = Field("", description="The file that the line is of; reform.yaml is the reform's. 行号所属文件")
    message: str


class CheckAnswer(Answer):
    """What is wrong, missing or doubtful in a policy. 检查结果。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "errors": 0,
                    "warnings": 0,
                    "notices": 1,
                    "findings": [
                        {
                            "code": "cliff",
                            "severity": "notice",
                            "path": "tiers/assistance",
                            "line": 210,
                            "file": "2026-01-01.yaml",
                            "message": "one fen more lowers the payment",
                        }
                    ],
                }
            ]
        }
    )

    errors: int
    warnings: int
    notices: int
    findings: list[FindingAnswer]


class ChangeAnswer(Answer):
    """One value that differs between two policies. 一项差异。"""

    kind: Literal["added", "removed", "changed"]
    path: str
    when: str | None = None
    old: str | None = None
    new: str | None = None
    source: str = ""


class DiffAnswer(Answer):
    """What changed from one policy to another. 政策差异。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "before": "cn/beijing@2018-01-01",
                    "after": "cn/beijing@2019-01-01",
                    "changes": [
                        {
                            "kind": "changed",
                            "path": "tiers/critical_illness/prefer",
                            "when": None,
                            "old": "tekun, dibao",
                            "new": "tekun, dibao, dibao_marginal",
                            "source": "",
                        }
                    ],
                }
            ]
        }
    )

    before: str
    after: str
    changes: list[ChangeAnswer]
