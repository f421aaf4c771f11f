"""How msgspec's encoders write a number that keeps its spelling (core/text/numbers.py).

Apart from it, because the command reads and writes such numbers and starts without msgspec.
"""

from typing import Any

import msgspec

from ironkeep.core.text.numbers import Spelt


def encoded(value: Any) -> Any:
    """Return what an encoder writes for a Spelt; raise NotImplementedError for anything else."""
    if isinstance(value, Spelt):
        return msgspec.Raw(value.text.encode())
    raise NotImplementedError
