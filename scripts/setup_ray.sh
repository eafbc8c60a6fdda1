#!/bin/sh
# Makes .venv-ray: Ray in a pinned version, beside everything that .venv has.
# Needs .venv, which is made by make setup; does nothing when all is current.
set -eu

venv=.venv-ray
stamp=$venv/installed-for
log=$venv/setup.log
wanted=$({ pwd; cat requirements.txt requirements-ray.txt scripts/setup_ray.sh; } | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

echo "Setting up $venv: Ray; a minute." >&2
.venv/bin/python -m venv --clear "$venv"
# What .venv has is found there, not installed again.
site='import sysconfig; print(sysconfig.get_path("purelib"))'
.venv/bin/python -c "$site" >"$("$venv/bin/python" -c "$site")/of_venv.pth"
"$venv/bin/python" -m pip --disable-pip-version-check --no-input -q install --no-compile --no-deps -r requirements-ray.txt >"$log" 2>&1 || {
    cat "$log" >&2
    echo "dwindle: pip could not install Ray; the lines above say what. Mend it (network, disk, proxy) and run make again." >&2
    exit 1
}
echo "$wanted" >"$stamp"
