"""The model of a crash: what must be there, what may be, and what never can."""

from tests.support.crash.crashfs import (
    FOLDER,
    NEVER,
    Change,
    CrashImages,
    Image,
    Mark,
    Names,
    Resize,
    Sync,
    Trace,
    Write,
)

CREATE = Names(0, 1, "", (("f", 0),))
FOLDER_SYNC = Sync(2, 3, "", failed=False)
DURABLE_FILE = (CREATE, FOLDER_SYNC)


def states(*calls: Change | Sync, at: int = 1_000, count: int = 400) -> set[tuple[str, bytes]]:
    """Return every (name, content) that a file has in some image of that instant."""
    trace = Trace((*DURABLE_FILE, *calls), (Mark(at, "socket", b"answer"),), ("f", "g"))
    images = CrashImages(trace, 1).images(count, since=at, until=at)
    return {item for image in images for item in image.files.items()}


def contents(*calls: Change | Sync, at: int = 1_000) -> set[bytes]:
    return {data for name, data in states(*calls, at=at) if name == "f"}


def test_a_write_without_a_sync_is_there_or_not() -> None:
    assert contents(Write(10, 11, 0, 0, b"new", through=False)) == {b"", b"new"}


def test_a_synced_write_is_there() -> None:
    write = Write(10, 11, 0, 0, b"new", through=False)
    assert contents(write, Sync(12, 13, 0, failed=False)) == {b"new"}


def test_a_write_through_is_there_once_it_returned() -> None:
    write = Write(10, 11, 0, 0, b"new", through=True)
    assert contents(write) == {b"new"}
    assert contents(write, at=10) == {b"", b"new"}


def test_a_sync_under_way_promises_nothing() -> None:
    write = Write(10, 11, 0, 0, b"new", through=False)
    assert contents(write, Sync(12, NEVER, 0, failed=False)) == {b"", b"new"}


def test_a_sync_does_not_cover_a_write_that_had_not_returned_when_it_began() -> None:
    write = Write(10, 13, 0, 0, b"new", through=False)
    assert contents(write, Sync(12, 14, 0, failed=False)) == {b"", b"new"}


def test_a_sync_covers_its_own_file_only() -> None:
    write = Write(10, 11, 0, 0, b"new", through=False)
    other = (Names(12, 13, "", (("g", 1),)), Sync(14, 15, 1, failed=False))
    assert contents(write, *other, Sync(16, 17, "", failed=False)) == {b"", b"new"}


def test_what_a_failed_sync_was_to_cover_may_be_lost_for_good() -> None:
    write = Write(10, 11, 0, 0, b"new", through=False)
    later = Write(14, 15, 0, 3, b"er", through=False)
    syncs = Sync(12, 13, 0, failed=True), Sync(16, 17, 0, failed=False)
    assert contents(write, syncs[0], later, syncs[1]) == {b"\x00\x00\x00er", b"newer"}


def test_a_write_is_torn_at_sectors() -> None:
    old = Write(4, 5, 0, 0, b"." * 1_536, through=True)
    seen = contents(old, Write(10, 11, 0, 0, b"a" * 1_536, through=False))
    assert {content[::512] for content in seen} >= {b"a..", b".a.", b"..a", b"aa.", b"a.a", b"aaa"}
    sectors = [content[at : at + 512] for content in seen for at in (0, 512, 1_024)]
    assert set(sectors) == {b"." * 512, b"a" * 512}


def test_the_sectors_of_a_write_lie_where_the_disk_has_them() -> None:
    old = Write(4, 5, 0, 0, b"." * 1_024, through=True)
    seen = contents(old, Write(10, 11, 0, 500, b"a" * 24, through=False))
    assert {content[500:524] for content in seen} == {
        b"." * 24,
        b"a" * 24,
        b"a" * 12 + b"." * 12,
        b"." * 12 + b"a" * 12,
    }


def test_a_later_write_may_be_there_without_an_earlier_one() -> None:
    first = Write(10, 11, 0, 0, b"1", through=False)
    second = Write(12, 13, 0, 1, b"2", through=False)
    assert contents(first, second) == {b"", b"1", b"12", b"\x002"}


def test_a_write_through_stays_on_top_of_what_was_written_before() -> None:
    first = Write(10, 11, 0, 0, b"111", through=False)
    assert contents(first, Write(12, 13, 0, 0, b"2", through=True)) == {b"2", b"211"}


def test_a_length_is_cut_or_not_until_it_is_synced() -> None:
    write, cut = Write(4, 5, 0, 0, b"long", through=True), Resize(10, 11, 0, 1)
    assert contents(write, cut) == {b"long", b"l"}
    assert contents(write, cut, Sync(12, 13, 0, failed=False)) == {b"l"}
    assert contents(write, Resize(10, 11, 0, 6)) == {b"long", b"long\x00\x00"}


def test_a_new_name_is_there_or_not_until_its_folder_is_synced() -> None:
    new = (Names(10, 11, "", (("g", 1),)), Write(12, 13, 1, 0, b"x", through=True))
    assert states(*new) == {("f", b""), ("g", b"x")}
    assert any("g" not in image.files for image in images(*new))
    synced = images(*new, Sync(14, 15, "", failed=False))
    assert all(image.files == {"f": b"", "g": b"x"} for image in synced)


def test_a_rename_happens_whole_or_not_at_all() -> None:
    new = (Names(10, 11, "", (("g", 1),)), Write(12, 13, 1, 0, b"x", through=True))
    moved = Names(16, 17, "", (("g", None), ("f", 1)))
    kept = images(*new, Sync(14, 15, "", failed=False), moved)
    assert {tuple(sorted(image.files.items())) for image in kept} == {
        (("f", b""), ("g", b"x")),
        (("f", b"x"),),
    }


def test_a_folder_that_is_lost_takes_its_files_along() -> None:
    inside = (Names(10, 11, "", (("d", FOLDER),)), Names(12, 13, "d", (("g", 1),)))
    kept = images(*inside, Sync(14, 15, "d", failed=False))
    assert {(tuple(image.folders), "d/g" in image.files) for image in kept} == {
        ((), False),
        (("d",), True),
    }


def images(*calls: Change | Sync) -> list[Image]:
    trace = Trace((*DURABLE_FILE, *calls), (Mark(1_000, "socket", b""),), ("f", "g"))
    return list(CrashImages(trace, 1).images(200, since=1_000))


def test_marks_are_those_made_by_then() -> None:
    marks = tuple(Mark(at, "socket", b"%d" % at) for at in (10, 20, 30))
    trace = Trace(DURABLE_FILE, marks, ("f",))
    (image,) = CrashImages(trace, 1).images(1, since=20, until=20)
    assert image.marks == marks[:2]


def test_every_instant_has_its_turn_and_a_seed_repeats() -> None:
    trace = Trace((CREATE, FOLDER_SYNC, Write(10, 11, 0, 0, b"x", through=False)), (), ("f",))
    labels = [image.label for image in CrashImages(trace, 5).images(12)]
    assert [label.split(",")[1] for label in labels] == [
        f" instant {at}" for at in (0, 1, 2, 3, 10, 11) for _ in range(2)
    ]
    assert labels == [image.label for image in CrashImages(trace, 5).images(12)]
    assert labels != [image.label for image in CrashImages(trace, 6).images(12)]


def test_syncs_can_be_taken_away() -> None:
    write = Write(10, 11, 0, 0, b"x", through=True)
    trace = Trace((*DURABLE_FILE, write), (), ("f",))
    assert trace.synced() == {"", "f"}
    careless = trace.without_syncs(lambda path: path == "f")
    assert careless.synced() == {""}
    assert careless.calls[-1] == Write(10, 11, 0, 0, b"x", through=False)
    assert trace.without_syncs(lambda path: not path).calls == (CREATE, write)
