"""The whole server: after any crash it starts, with all that it had said, and the entries of that.

The promises are in `tests.support.crash.crashed_server`. That these tests can fail is shown by
taking away the syncs of one file or folder at a time.
"""

from pathlib import Path
from typing import Final

import pytest

from tests.support.crash.crashed_server import LOG, Recording, broken, record
from tests.support.crash.crashfs import CrashImages

pytestmark = pytest.mark.usefixtures("traced")

STEPS: Final = 60
PARTS: Final = 2
IMAGES: Final = 360


@pytest.fixture(scope="module")
def recording(memory: Path) -> Recording:
    return record(memory, STEPS)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(PARTS))
def test_no_crash_loses_what_was_answered_or_its_entry(
    memory: Path, recording: Recording, part: int
) -> None:
    images = CrashImages(recording.trace, seed=part).images(IMAGES // PARTS)
    assert list(broken(images, memory, recording)) == []


@pytest.mark.slow
@pytest.mark.timeout(3_600)
def test_no_crash_of_many_loses_what_was_answered_or_its_entry(
    memory: Path, recording: Recording
) -> None:
    images = CrashImages(recording.trace, seed=PARTS).images(34 * IMAGES)
    assert list(broken(images, memory, recording)) == []


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "path",
    [
        "",
        "ironkeep.db",
        "ironkeep.db-wal",
        "audit",
        LOG,
        f"{LOG}/wal",
        f"{LOG}/wal/",
        f"{LOG}/hash",
        f"{LOG}/hash/",
        f"{LOG}/tile",
        f"{LOG}/tile/entries",
        f"{LOG}/tile/entries/",
        f"{LOG}/signing-key.new",
        f"{LOG}/origin.new",
        f"{LOG}/signed.new",
        f"{LOG}/checkpoint.new",
    ],
)
def test_without_the_syncs_of_a_path_a_crash_breaks_a_promise(
    memory: Path, recording: Recording, path: str
) -> None:
    """A path with a slash at its end stands for the files in a folder."""

    def chosen(synced: str) -> bool:
        return synced.startswith(path) if path.endswith("/") else synced == path

    assert any(map(chosen, recording.trace.synced()))
    careless = recording.trace.without_syncs(chosen)
    first = next(call for call in recording.trace.calls if chosen(recording.trace.path_of(call)))
    images = CrashImages(careless, seed=9).images(1_500, since=first.begin)
    assert any(broken(images, memory, recording))
