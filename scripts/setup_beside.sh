#!/bin/sh
# sh scripts/setup_beside.sh NAME WHAT: makes .venv-NAME with the versions of
# requirements-NAME.txt, beside everything that .venv has.
# Needs .venv, which is made by make setup; does nothing when all is current.
set -eu

name=$1
what=$2
venv=.venv-$name
list=requirements-$name.txt
stamp=$venv/installed-for
log=$venv/setup.log
wanted=$({ pwd; cat requirements.txt "$list" scripts/setup_beside.sh; } | cksum)
if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    exit 0
fi

echo "Setting up $venv: $what; a minute." >&2
.venv/bin/python -m venv --clear "$venv"
# What .venv has is found there, not installed again.
site='import sysconfig; print(sysconfig.get_path("purelib"))'
.venv/bin/python -c "$site" >"$("$venv/bin/python" -c "$site")/of_venv.pth"
"$venv/bin/python" -m pip --disable-pip-version-check --no-input -q install --no-compile --no-deps -r "$list" >"$log" 2>&1 || {
    cat "$log" >&2
    echo "dwindle: pip could not install $what; the lines above say what. Mend it (network, disk, proxy) and run make again." >&2
    exit 1
}
echo "$wanted" >"$stamp"
