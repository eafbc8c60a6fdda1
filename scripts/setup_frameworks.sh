#!/bin/sh
# Makes .venv-frameworks: the libraries whose knobs are verified, in pinned versions.
# Needs .venv, which is made by make setup; does nothing when all is current.
set -eu

venv=.venv-frameworks
stamp=$venv/installed-for
log=$venv/setup.log
wanted=$({ pwd; cat requirements-frameworks.txt scripts/setup_frameworks.sh; } | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

echo "Setting up $venv: jax, keras, torch and the libraries of optimizers; minutes." >&2
.venv/bin/python -m venv --clear "$venv"

pip() {
    "$venv/bin/python" -m pip --disable-pip-version-check --no-input -q install --no-compile "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        echo "dwindle: pip could not install the frameworks; the lines above say what. Mend it (network, disk, proxy) and run make again." >&2
        exit 1
    }
}
# torch first and with its own dependencies: on Linux PyPI's build brings CUDA libraries.
torch=$(grep '^torch==' requirements-frameworks.txt)
if [ -n "${TORCH_INDEX:-}" ]; then
    pip --no-deps --index-url "$TORCH_INDEX" "$torch"
fi
pip "$torch"
pip --no-deps -r requirements-frameworks.txt
echo "$wanted" >"$stamp"
