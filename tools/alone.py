"""Run each test in a process of its own: none may need what another one leaves behind.

python tools/alone.py JOBS [PATH ...]
"""  # noqa: INP001 - a script

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Final

PYTEST: Final = (sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider")
FITS: Final = (0, 5)
"""pytest's exit codes for passed, and for skipped or deselected."""
EVERY: Final = 100


def collected(paths: list[str]) -> list[str]:
    """Return the ids of the tests below paths; raise CalledProcessError if one fails to import."""
    command = [*PYTEST, "--collect-only", "-m", "not slow", *paths]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    return [line for line in done.stdout.splitlines() if "::" in line]


def run(test: str) -> tuple[str, str]:
    """Run one test; return its id, and what it printed when it failed."""
    done = subprocess.run([*PYTEST, test], capture_output=True, text=True, check=False)  # noqa: S603
    return test, "" if done.returncode in FITS else done.stdout + done.stderr


def main(jobs: int, paths: list[str]) -> int:
    """Run all; return how many failed."""
    tests = collected(paths)
    failed = 0
    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(run, test) for test in tests]
        for count, done in enumerate(as_completed(running), 1):
            test, printed = done.result()
            if printed:
                failed += 1
                print(f"FAILED alone: {test}\n{printed}", flush=True)  # noqa: T201
            if count % EVERY == 0 or count == len(tests):
                print(f"{count} of {len(tests)}, {failed} failed", flush=True)  # noqa: T201
    return failed


if __name__ == "__main__":
    sys.exit(min(main(int(sys.argv[1]), sys.argv[2:]), 1))
