"""Reserved places: one for each service and feature, although each feature names its own."""

import ast
from pathlib import Path

import ironkeep
from ironkeep.store import reserved
from ironkeep.store.reserved import escape_part, is_reserved, unescape_part

SOURCE = Path(ironkeep.__file__).parent


def places() -> list[str]:
    """Return the reserved places of the store, and the `PLACE` of each feature, as written."""
    own = [value for name, value in vars(reserved).items() if name.isupper() and name[0] != "_"]
    for path in sorted((SOURCE / "access").rglob("*.py")):
        own += [
            ast.literal_eval(node.value)
            for node in ast.parse(path.read_text(encoding="utf-8")).body
            if isinstance(node, ast.AnnAssign)
            and ast.unparse(node.target) == "PLACE"
            and node.value is not None
        ]
    return own


def test_no_two_share_a_place_and_no_mount_can_have_one() -> None:
    found = places()
    assert len(found) > 15
    assert len(set(found)) == len(found), sorted(found)
    assert all(is_reserved(place) for place in found)


def test_a_part_comes_back_from_its_escaped_form_and_opens_no_folder() -> None:
    for name in ("a/b", "a%2Fb", "%", "%25", "/", ""):
        assert "/" not in escape_part(name)
        assert unescape_part(escape_part(name)) == name
