"""Open the office's books for a command of the ledger: the options and answers that they share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from medfloor.cli.opened import opened

if TYPE_CHECKING:
    from medfloor.store.books import Books
    from medfloor.store.postings import Amounts

_Function = TypeVar("_Function", bound=Callable[..., Any])


def language_option(function: _Function) -> _Function:
    """Add --lang."""
    return click.option(
        "--lang", type=click.Choice(["zh", "en"]), default="en", show_default=True, help="Language of the report."
    )(function)


def policy_option(function: _Function) -> _Function:
    """Add --policy."""
    return click.option(
        "--policy", metavar="NAME[@DATE]|FILE", help="The law.  [default: the office's setting `policy`]"
    )(function)


@contextmanager
def open_books(database: str | None, policy: str | None) -> Iterator[Books]:
    """Open the store and its books under the policy that was asked for, or that the office decided on.

    Raises UsageError (`no_policy`) where neither is there, and what opening the store raises.
    """
    from medfloor.errors import UsageError
    from medfloor.store.books import Books
    from medfloor.store.office import office_of

    with opened(database) as store:
        if policy is None:
            with store.reading() as connection:
                policy = office_of(connection).policy
        if not policy:
            raise UsageError(
                "no_policy", "the office has decided on no policy; name one with --policy, or set it once with admin"
            )
        yield Books.of(store, policy)


def yuan_of_amounts(amounts: Amounts) -> list[str]:
    """Give what the funds pay and what stays with the person, in yuan."""
    from medfloor.money import group_yuan

    return [group_yuan(amounts.pay_total_fen), group_yuan(amounts.own_total_fen)]
