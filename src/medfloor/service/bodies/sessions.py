"""Bodies of signing in, of tokens for programs, and of the accounts that an administrator keeps."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from medfloor.service.bodies.fields import Answer, Body, Language, Moment, Place

Login = Annotated[str, Field(min_length=2, max_length=64, pattern=r"^[0-9A-Za-z][0-9A-Za-z._@-]*$")]
Password = Annotated[str, Field(min_length=1, max_length=1024)]
Label = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
DisplayName = Annotated[str, Field(max_length=128, pattern=r"^[^\x00-\x1f\x7f]*$")]
Role = Literal["county_clerk", "assistance_officer", "fund_supervisor", "analyst", "auditor", "administrator"]

SESSION_EXAMPLE: dict[str, Any] = {
    "login": "clerk1", "display_name": "clerk1", "role": "county_clerk", "place": "150981", "language": "zh",
    "kind": "browser", "permissions": ["read_person", "settle"], "expires_at": "2024-06-03T11:30:00.000+00:00",
    "csrf_token": "cCBKkzgwqHEAnJ7ZVkXwK9tz0mJ9b1T4Xw5iG1o2r3s",
}  # fmt: skip
TOKEN_EXAMPLE: dict[str, Any] = {
    "id": 12, "label": "hospital interface", "kind": "token", "created_at": "2024-06-03T01:30:00.000+00:00",
    "last_seen_at": "2024-06-03T01:30:00.000+00:00", "expires_at": "2024-09-01T01:30:00.000+00:00",
}  # fmt: skip
USER_EXAMPLE: dict[str, Any] = {
    "login": "clerk1", "display_name": "clerk1", "role": "county_clerk", "place": "150981", "language": "zh",
    "active": True, "has_password": True, "has_oidc": False, "locked_until": None,
    "created_at": "2024-06-01T00:00:00.000+00:00",
}  # fmt: skip


class SignInBody(Body):
    """Login and password of a local account. 本地账户登录。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"login": "clerk1", "password": "correct horse 7 battery"}]}
    )

    login: Login
    password: Password = Field(repr=False)


class SessionAnswer(Answer):
    """Who is signed in, what the role may, and the token that writes by cookie must send. 当前会话。"""

    model_config = ConfigDict(json_schema_extra={"examples": [SESSION_EXAMPLE]})

    login: str
    display_name: str
    role: Role
    place: str
    language: Language
    kind: Literal["browser", "token"]
    permissions: list[str]
    expires_at: Moment
    csrf_token: str | None = Field(description="Send as X-CSRF-Token; null for tokens of programs")


class PasswordBody(Body):
    """Own password, old and new. 修改口令。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"old": "correct horse 7 battery", "new": "another 8 staple paper"}]}
    )

    old: Password = Field(repr=False)
    new: Password = Field(repr=False)


class TokenBody(Body):
    """Ask for a token for a program. 申请接口令牌。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"label": "hospital interface", "days": 30}]})

    label: Label
    days: int | None = Field(None, ge=1, le=366, description="Lifetime; at most what the office allows, the default")


class TokenAnswer(Answer):
    """A session or token that has not ended. 会话或令牌。"""

    model_config = ConfigDict(json_schema_extra={"examples": [TOKEN_EXAMPLE]})

    id: int
    label: str | None
    kind: Literal["browser", "token"]
    created_at: Moment
    last_seen_at: Moment
    expires_at: Moment


class NewTokenAnswer(TokenAnswer):
    """A new token; its text is shown this once and kept nowhere. 新令牌（仅显示一次）。"""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**TOKEN_EXAMPLE, "token": "3q2-7w0mJ9b1T4Xw5iG1o2r3scCBKkzgwqHEAnJ7ZVkX"}]}
    )

    token: str = Field(repr=False)


class TokenList(Answer):
    """Own sessions and tokens. 本人的会话与令牌。"""

    tokens: list[TokenAnswer]
    next: str | None = Field(None, description="The cursor of the page after. 下一页")


class UserBody(Body):
    """A new account; without a password it can only come by OIDC. 新建账户。"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"login": "clerk2", "role": "county_clerk", "place": "150981", "password": "correct horse 7 battery"}
            ]
        }
    )

    login: Login
    role: Role
    display_name: DisplayName = ""
    place: Place = ""
    language: Language = "zh"
    password: Password | None = Field(None, repr=False)


class UserChangeBody(Body):
    """What changes of an account; what is left out stays. 修改账户。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"role": "auditor", "place": ""}, {"active": False}]})

    role: Role | None = None
    place: Place | None = None
    active: bool | None = None


class NewPasswordBody(Body):
    """Another's new password. 重置口令。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"password": "another 8 staple paper"}]})

    password: Password = Field(repr=False)


class OidcLinkBody(Body):
    """The subject by which the office's log-in knows a user. 绑定统一认证。"""

    model_config = ConfigDict(json_schema_extra={"examples": [{"subject": "248289761001"}]})

    subject: str = Field(min_length=1, max_length=255, pattern=r"^[\x20-\x7e]+$")


class UserAnswer(Answer):
    """An account. 账户。"""

    model_config = ConfigDict(json_schema_extra={"examples": [USER_EXAMPLE]})

    login: str
    display_name: str
    role: Role
    place: str
    language: Language
    active: bool
    has_password: bool
    has_oidc: bool
    locked_until: Moment | None
    created_at: Moment


class UserList(Answer):
    """Accounts in the order in which they were made. 账户列表。"""

    users: list[UserAnswer]
    next: str | None = Field(None, description="The cursor of the page after. 下一页")
