"""The verifier is a program of its own: what it does not load cannot mislead it."""

import subprocess
import sys


def test_the_verifier_loads_nothing_of_the_server() -> None:
    found = "import sys, ironkeep.incident.verifier.verifier; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", found], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    rooms = {name.split(".")[1] for name in loaded if name.startswith("ironkeep.")}
    assert rooms == {"core", "incident", "index", "tlog"}
    assert not {"socket", "ssl", "http.client"} & set(loaded)
