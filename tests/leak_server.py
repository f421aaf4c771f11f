"""`ironkeep` for tests/test_leak.py: keeps a copy of its standard output, and has one defect.

The defect raises from deep inside, with the record that it was given as its message.
"""

import sys
from pathlib import Path
from typing import Any

from ironkeep.cli.main import main
from ironkeep.core.ports import Row
from ironkeep.store.barrier import Store

PROVOKED = b"provoke-a-defect"

_put = Store.put


def _put_or_fail(self: Store, path: str, body: bytes, *rest: Any, **named: Any) -> Row:
    if PROVOKED in body:
        raise ValueError(f"{path}: {body!r}")
    return _put(self, path, body, *rest, **named)


class _Tee:
    def __init__(self, path: Path) -> None:
        self._stdout = sys.stdout
        self._file = path.open("w", encoding="utf-8")

    def write(self, text: str) -> int:
        self._file.write(text)
        return self._stdout.write(text)

    def flush(self) -> None:
        self._file.flush()
        self._stdout.flush()

    def isatty(self) -> bool:
        return False

    def fileno(self) -> int:
        return self._stdout.fileno()


if __name__ == "__main__":
    Store.put = _put_or_fail  # type: ignore[method-assign]
    sys.stdout = _Tee(Path("~/server.out").expanduser())
    sys.exit(main())
