"""Hold every error that medfloor raises on purpose.

The tree::

    MedfloorError
    ├── UsageError          a command or call that cannot be meant as it was written
    ├── InputError          a table or file that cannot be read or lacks what is needed
    ├── OutputError         a file that could not be written (the old one stays whole)
    ├── PolicyError         a policy file that cannot be loaded, found or understood
    │   └── MissingValueError   the law asks for a number that was never published
    └── StoreError          a store that cannot be opened, or did not take what was asked
        ├── NotFoundError       what was named is not in the store
        ├── ConflictError       what was asked contradicts what is recorded
        └── AccessError         the one who asks may not do or see it

Each error says the value, the place and the next step, and carries a stable `code` that scripts can test.
A bug is not an error of ours: it meets an `assert`.
"""

from __future__ import annotations


class MedfloorError(Exception):
    """Be the parent of all errors that a user can mend.

    `code` is stable across versions; `message` is one or more sentences for a person; neither ever holds a name,
    an identity number or a diagnosis.

    >>> str(MedfloorError("missing_column", "claims.csv has no column total"))
    'claims.csv has no column total'
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class UsageError(MedfloorError):
    """Say that the command or call itself cannot be carried out."""


class InputError(MedfloorError):
    """Say that an input file or table cannot be used at all."""


class OutputError(MedfloorError):
    """Say that an output file could not be written; what stood there before still stands."""


class PolicyError(MedfloorError):
    """Say that a policy file is wrong, and where."""


class MissingValueError(PolicyError):
    """Say which number of a policy was never published, so that nothing can be settled with it.

    `path` is its place in the policy; `series` and `year` name the published series and its year that lack a value.
    """

    path: str = ""
    series: str = ""
    year: int | None = None


class StoreError(MedfloorError):
    """Say that the store cannot be used, or did not take what was asked; nothing was written."""


class NotFoundError(StoreError):
    """Say that what was named is not in the store, or is outside the place of the one who asks."""


class ConflictError(StoreError):
    """Say that what was asked contradicts what is recorded: a key used for something else, a claim taken back twice."""


class AccessError(StoreError):
    """Say that the one who asks is not known, or may not do or see what was asked."""
