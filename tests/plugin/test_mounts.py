"""The mount table: no path is served twice, the longest prefix answers, one row holds it all."""

import pytest
from hypothesis import given, strategies as st

from ironkeep.core.errors import InvalidRequest, NotFound
from ironkeep.kernel.routing import check_request_path
from ironkeep.plugin import mounts as mounts_module
from ironkeep.plugin.mount import Mount
from ironkeep.plugin.mounts import MAX_PATH, Table, check_path, new_mount
from ironkeep.plugin.request import MAX_PATH as MAX_REQUEST_PATH
from ironkeep.store.reserved import MOUNTS
from tests.support.services import Services

KIND = "kv"


class Bench:
    """The table of a bench of services."""

    def __init__(self) -> None:
        self.services = Services()
        self.mounts = self.services.mounts
        self.store = self.services.store(self.services.tx, MOUNTS)

    def add(self, path: str) -> Mount:
        mount = new_mount(path, KIND, self.services.entropy)
        self.mounts.add(self.services.tx, self.store, mount, self.services.now)
        return mount

    def paths(self) -> list[str]:
        return list(self.mounts.table(self.store).by_path)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_the_longest_path_answers() -> None:
    services = Services()
    some = {p: new_mount(p, KIND, services.entropy) for p in ("a/", "b/c/", "b/d/e/")}
    table = Table(some, 3)
    for path, found in (
        ("a/x", "a/"), ("a/", "a/"), ("b/c/d/e", "b/c/"), ("b/d/e/f/g", "b/d/e/"),
        ("a", "a/"), ("b", None), ("b/x", None), ("b/d/x", None), ("", None), ("/a/x", None),
        ("ab/x", None),
    ):  # fmt: skip
        assert table.find(path) is (some[found] if found else None), path


def test_mounts_neither_share_nor_nest(bench: Bench) -> None:
    bench.add("a/b/")
    for path in ("a/b/", "a/", "a/b/c/"):
        with pytest.raises(InvalidRequest, match="path is already in use at a/b/"):
            bench.add(path)
    bench.add("a/bc/")
    assert bench.paths() == ["a/b/", "a/bc/"]


def test_every_mount_has_ids_of_its_own(bench: Bench) -> None:
    one, two = bench.add("a/"), bench.add("b/")
    assert len({one.uuid, two.uuid, one.accessor, two.accessor}) == 4
    assert one.accessor.startswith("kv_")
    assert one.place != two.place


def test_moving_keeps_ids_and_refuses_what_is_taken(bench: Bench) -> None:
    before = bench.add("a/")
    bench.add("b/")
    tx, store, now = bench.services.tx, bench.store, bench.services.now
    moved = bench.mounts.move(tx, store, "a/", "a/b/", now)
    assert (moved.uuid, moved.accessor, moved.path) == (before.uuid, before.accessor, "a/b/")
    for source, target in (("a/b/", "b/"), ("a/b/", "b/x/"), ("none/", "c/"), ("a/b/", "c/*/")):
        with pytest.raises(InvalidRequest):
            bench.mounts.move(tx, store, source, target, now)
    assert bench.paths() == ["a/b/", "b/"]


def test_removing_and_its_history(bench: Bench) -> None:
    mount = bench.add("a/")
    bench.services.clock.advance(seconds=5)
    bench.mounts.remove(bench.services.tx, bench.store, "a/", bench.services.now)
    with pytest.raises(NotFound):
        bench.mounts.remove(bench.services.tx, bench.store, "a/", bench.services.now)
    (lived, *_) = bench.services.history.intervals(bench.services.tx, "mount", mount.uuid)
    assert lived.end_ns == bench.services.now
    assert bench.paths() == []


def test_the_table_is_decoded_once_per_row(bench: Bench) -> None:
    bench.add("a/")
    assert bench.mounts.table(bench.store) is bench.mounts.table(bench.store)
    before = bench.mounts.table(bench.store)
    bench.add("b/")
    assert bench.mounts.table(bench.store) is not before


def test_the_number_of_mounts_is_bounded(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts_module, "MAX_MOUNTS", 2)
    bench.add("a/")
    bench.add("b/")
    with pytest.raises(InvalidRequest, match="there are 2 mounts already"):
        bench.add("c/")


@pytest.mark.parametrize("path", ["a/", "a b/", "é/", "a/b-c.d_e/", "a" * (MAX_PATH - 1) + "/"])
def test_paths_that_are_fine(path: str) -> None:
    check_path(path)


@pytest.mark.parametrize(
    "path", ["", "/", "//", "a//b/", "./", "../", "a/../b/", "a/*/", "a+/", "a\n/", "a" * 256 + "/"]
)
def test_paths_that_are_not(path: str) -> None:
    with pytest.raises(InvalidRequest):
        check_path(path)


@given(st.text(max_size=40))
def test_what_passes_is_safe_to_serve(path: str) -> None:
    try:
        check_path(path)
    except InvalidRequest:
        return
    segments = path.removesuffix("/").split("/")
    assert path.isprintable()
    assert not {"", ".", ".."} & set(segments)
    assert "*" not in path
    assert "+" not in path


@given(st.text(max_size=60))
def test_request_paths_hold_no_way_up(path: str) -> None:
    try:
        check_request_path(path)
    except InvalidRequest:
        assert not path.isprintable() or {".", ".."} & set(path.split("/"))
        return
    assert ".." not in path.split("/")


def test_request_paths_at_and_past_their_limit() -> None:
    check_request_path("x" * MAX_REQUEST_PATH)
    with pytest.raises(InvalidRequest):
        check_request_path("x" * (MAX_REQUEST_PATH + 1))
