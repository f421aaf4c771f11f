"""Folders with the state of a server or a witness, which no other user may write to.

A user who can write to the folder can replace its files, whatever their modes are. The mode is
checked on every start, because it may have changed since the folder was made.
"""

import os
import stat
from pathlib import Path

from ironkeep.core.errors import InvalidRequest


def require_closed(folder: Path) -> None:
    """Raise InvalidRequest when other users may write to folder.

    A world-writable folder is refused even if it is sticky. Group write is accepted if another user
    owns the folder: volumes often belong to root and to the group of a service.
    """
    found = folder.stat()
    others = stat.S_IWOTH | (stat.S_IWGRP if found.st_uid == os.geteuid() else 0)
    if found.st_mode & others:
        raise InvalidRequest(
            f"other users can write to {folder} and replace its files: run `chmod go-w {folder}`"
        )
