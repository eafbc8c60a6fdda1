#!/bin/sh
# Makes .venv with the pinned versions, or does nothing when it is there and current.
# It asks for a Python of at least 3.11 with its venv module, and for nothing else.
set -eu

venv=.venv
stamp=$venv/installed-for
log=$venv/setup.log

fail() {
    echo "dwindle: $1" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

choose_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_new_enough "$PYTHON" && echo "$PYTHON" && return
        fail "PYTHON must be Python 3.11 or newer. Got $PYTHON ($("$PYTHON" --version 2>&1 || true)). Name another: make setup PYTHON=/path/to/python3.12"
    fi
    for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
        is_new_enough "$candidate" && echo "$candidate" && return
    done
    fail "Python must be 3.11 or newer. Got $(python3 --version 2>/dev/null || echo 'no python3'). Install one (Debian, Ubuntu: apt install python3 python3-venv) or name one: make setup PYTHON=/path/to/python3.12"
}

# What the environment was made for: our two lists, and where it lies (it cannot move).
wanted=$({ pwd; cat requirements.txt pyproject.toml; } | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

python=$(choose_python)
"$python" -c 'import venv, ensurepip' 2>/dev/null ||
    fail "the set-up needs Python's venv module, and $python has none. Install it (Debian, Ubuntu: apt install python3-venv) and run make again."

echo "Setting up .venv with $("$python" --version 2>&1): once, a minute or more; torch is the large one." >&2
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1 || ! is_new_enough "$venv/bin/python" ||
    [ "$(head -n 1 "$venv/made-in" 2>/dev/null)" != "$(pwd)" ]; then
    "$python" -m venv --clear "$venv" || fail "$python could not make $venv; the lines above say why."
    pwd >"$venv/made-in"
fi

# --no-compile: compiling all of torch ahead would take longer than the rest of the
# set-up. What the commands import is compiled below, also where the environment tells
# Python not to keep what it compiles: torch would start two seconds later every time.
pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input -q "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        fail "pip could not install everything; the lines above say what. Mend it (network, disk, proxy) and run make again: what is installed is kept."
    }
}
if [ -n "${TORCH_INDEX:-}" ]; then
    pip install --no-compile --no-deps --index-url "$TORCH_INDEX" "$(grep '^torch==' requirements.txt)"
fi
pip install --no-compile -r requirements.txt
pip install --no-compile --no-deps --no-build-isolation -e .
PYTHONDONTWRITEBYTECODE='' "$venv/bin/python" scripts/compile_imports.py
echo "$wanted" >"$stamp"
