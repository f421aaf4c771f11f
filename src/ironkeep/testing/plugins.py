"""The plugins that an in-memory vault has by default: those that need no outside system."""

from collections.abc import Mapping
from typing import Final

from ironkeep.auth.token import TokenMethod
from ironkeep.auth.userpass import Userpass
from ironkeep.engines.cubbyhole import Cubbyhole
from ironkeep.engines.kv import Kv
from ironkeep.engines.system import System
from ironkeep.plugin.route import Plugin

PLUGINS: Final[Mapping[str, Plugin]] = {
    plugin.type: plugin for plugin in (System(), Kv(), Cubbyhole(), TokenMethod(), Userpass())
}
