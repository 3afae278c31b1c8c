"""Read and replace folders of Parquet files, partitioned in the way of Hive: place=.../month=.../part.parquet.

A folder is replaced as a whole: the new one is made beside the old one under a hidden name, its list of files is
written last, and two renames put it in the place of the old one.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import unquote

from medfloor.errors import InputError, OutputError

MANIFEST = "_medfloor.json"
"""The list of the files of a folder that we wrote, with their rows; readers pass over names that begin with _."""

_ESCAPED = frozenset("\"#%'*/:=?\\{}[]^\x7f") | {chr(code) for code in range(32)}
"""What Hive and Spark write as %XX in the name of a partition."""


def means_folder(path: str | os.PathLike[str]) -> bool:
    """Say whether a path of an input or output means a folder: it ends in a slash, or a folder is there.

    >>> means_folder("settled/"), means_folder("settled.parquet")
    (True, False)
    """
    return os.fspath(path).endswith(("/", os.sep)) or Path(path).is_dir()


def parquet_files(folder: str | os.PathLike[str], table: str = "input") -> list[Path]:
    """List the Parquet files of a folder and the folders in it, in the order of their names.

    Hidden names and those that begin with _ are passed over, as everywhere in such folders. Raises InputError
    file_not_found where there is none.
    """
    found = []
    for at, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(("_", ".")))
        found += [Path(at, name) for name in names if name.endswith(".parquet") and not name.startswith(("_", "."))]
    if not found:
        raise InputError(
            "file_not_found",
            f"{os.fspath(folder)} is a folder without a Parquet file. Give the {table} as a file, or as a folder of "
            "Parquet files, such as place=.../month=.../part.parquet.",
        )
    return sorted(found, key=lambda path: path.relative_to(folder).parts)


def partition_keys(folder: str | os.PathLike[str], file: Path) -> dict[str, str]:
    """Read the partition of a file off its path: place=110101/month=2024-03 as a dictionary, in order.

    >>> partition_keys("claims", Path("claims/place=110101/month=2024-03/p.parquet"))
    {'place': '110101', 'month': '2024-03'}
    """
    parts = [part.partition("=") for part in file.relative_to(folder).parts[:-1]]
    return {key: unquote(value) for key, mark, value in parts if mark}


def partition_path(keys: Mapping[str, str | None]) -> str:
    """Name the folder of a partition, with the escapes of Hive; nothing known is its default partition.

    >>> partition_path({"place": "东城/1", "month": None})
    'place=东城%2F1/month=__HIVE_DEFAULT_PARTITION__'
    """

    def escaped(text: str | None) -> str:
        if not text:
            return "__HIVE_DEFAULT_PARTITION__"
        return "".join(f"%{ord(letter):02X}" if letter in _ESCAPED else letter for letter in text)

    return "/".join(f"{key}={escaped(value)}" for key, value in keys.items())


def check_folder(path: str | os.PathLike[str]) -> None:
    """Refuse to replace what is not ours: a folder may stand there if it is empty, or if we wrote all that is in it.

    Raises OutputError cannot_write.
    """
    target, place = Path(path), os.fspath(path)
    if not target.absolute().parent.is_dir():
        raise OutputError("cannot_write", f"{place} lies in a folder that is not there. Create it first.")
    if not target.exists():
        return
    foreign = _foreign(target)
    if foreign is not None:
        raise OutputError(
            "cannot_write",
            f"{place} holds something that medfloor did not write ({foreign}), and stays as it is. Name an empty or a "
            "new folder.",
        )


def _foreign(target: Path) -> str | None:
    """Name a file that a folder's list of files does not have; None where there is none.

    Hidden files, which file systems leave, are passed over beside such a list.
    """
    if not target.is_dir():
        return "a file"
    try:
        listed = {MANIFEST, *json.loads((target / MANIFEST).read_text(encoding="utf-8"))["files"]}
    except (OSError, ValueError, LookupError, TypeError):
        return min((path.name for path in target.iterdir()), default=None)
    for at, _, names in os.walk(target):
        for name in names:
            inside = os.path.relpath(os.path.join(at, name), target)
            if inside not in listed and not name.startswith("."):
                return inside
    return None


def check_written(paths: Iterable[Path], place: str | os.PathLike[str]) -> None:
    """Raise OutputError cannot_write where files that other machines wrote for `place` are not on this one's disk."""
    lost = sum(not path.is_file() for path in paths)
    if lost:
        raise OutputError(
            "cannot_write",
            f"{os.fspath(place)}: {lost:,} files that were written are not there. Every machine must see the folder of "
            "the output under the same path.",
        )


class FolderReplacement:
    """Be a new folder beside an old one, which takes its place when `publish` is called; until then nothing changes.

    `here` is where its files go. Between the two renames of `publish` there is no folder for a moment; a reader that
    must never meet that waits for the manifest (`_medfloor.json`), which is there with all files or not at all.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        check_folder(path)
        self._target = Path(path).resolve()
        self.here = self._target.with_name(f".{self._target.name[:40]}.{secrets.token_hex(6)}.part")
        self.here.mkdir()

    def keep(self, rows: Mapping[str, int]) -> None:
        """Write the list of files (path inside the folder -> rows), and remove every file that is not in it.

        Raises OutputError cannot_write where one of them is not there.
        """
        listed = set(rows)
        found = {str(path.relative_to(self.here)) for path in self.here.rglob("*") if path.is_file()}
        check_written((self.here / name for name in listed), self._target)
        for name in found - listed:
            (self.here / name).unlink()
        for at, _, _ in sorted(os.walk(self.here), reverse=True):
            with contextlib.suppress(OSError):  # a folder that still has files
                os.rmdir(at)
        self.here.mkdir(exist_ok=True)
        told = {"rows": sum(rows.values()), "files": dict(sorted(rows.items()))}
        with (self.here / MANIFEST).open("w", encoding="utf-8") as file:
            json.dump(told, file, ensure_ascii=False, indent=1)
            file.flush()
            os.fsync(file.fileno())

    def publish(self) -> None:
        """Put the new folder in the place of the old one."""
        old = self._target.with_name(f"{self.here.name}.old")
        if self._target.exists():
            self._target.rename(old)
        try:
            self.here.rename(self._target)
        except OSError:
            if old.exists():
                old.rename(self._target)
            raise
        shutil.rmtree(old, ignore_errors=True)

    def drop(self) -> None:
        """Give the new folder up; the old one stays."""
        shutil.rmtree(self.here, ignore_errors=True)
