#!/bin/sh
# Runs a command where there is no network but loopback, if this system lets us.
for how in -n -rn; do
    if unshare "$how" ip link set lo up 2>/dev/null; then
        exec env DWINDLE_TEST_ALONE=yes unshare "$how" sh -c 'ip link set lo up; exec "$@"' sh "$@"
    fi
done
exec "$@"
