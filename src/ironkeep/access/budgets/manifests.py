"""The manifest of a machine: the only secrets that it may read."""

from ironkeep.core.text.spelling import Spelling, tidied


def lists(manifest: tuple[str, ...], secret: str, spelling: Spelling | None) -> bool:
    """Return whether a manifest lists a secret; both are `mount uuid/path`.

    Manifests of older versions may contain another spelling of a path.
    """
    return secret in manifest or any(_one(each, spelling) == secret for each in manifest)


def _one(listed: str, spelling: Spelling | None) -> str:
    mount, _, path = listed.partition("/")
    plain = tidied(path)
    return f"{mount}/{plain if spelling is None else spelling.respell(plain)}"
