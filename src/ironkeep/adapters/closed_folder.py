"""Folders that hold a server's or a witness's state: nobody else may put files into them.

Whoever can write to the folder can replace what is in it, whatever the modes of the files are. It
is looked at on every start: a mode that was right when the folder was made may have been changed.
"""

import os
import stat
from pathlib import Path

from ironkeep.core.errors import InvalidRequest


def require_closed(folder: Path) -> None:
    """Raise InvalidRequest when others may write to folder.

    Everybody never may, in a sticky folder neither. A group may where somebody else owns the
    folder: so volumes are shared out that belong to root and to the group of a service.
    """
    found = folder.stat()
    others = stat.S_IWOTH | (stat.S_IWGRP if found.st_uid == os.geteuid() else 0)
    if found.st_mode & others:
        raise InvalidRequest(
            f"{folder} is open to others, who could replace its files: run `chmod go-w {folder}`"
        )
