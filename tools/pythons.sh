#!/bin/sh
# Run the demo on each supported Python of this machine, each in its own virtual environment.
# PYTHONS="/path/to/python ..." names them instead.
set -eu
cd "$(dirname "$0")/.."
if [ -z "${PYTHONS:-}" ]; then
    folders="$(echo "$PATH" | tr : ' ') $(echo "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin)"
    for minor in 11 12 13 14 15; do
        for folder in $folders; do
            # pyenv also has shims for versions that are not selected; those fail when run.
            if "$folder/python3.$minor" tools/check_python.py >/dev/null 2>&1; then
                PYTHONS="${PYTHONS:-} $folder/python3.$minor"
                break
            fi
        done
    done
fi
for python in ${PYTHONS:?no Python from 3.11 on was found}; do
    version=$("$python" -c 'import platform; print(platform.python_version())')
    echo "== $version ($python)"
    make --no-print-directory "PYTHON=$python" "VENV=${VENV:-.venv}/pythons/$version" demo
done
