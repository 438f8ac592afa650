#!/bin/sh
# leaks.sh COMMAND...: runs a command in an IPC namespace of its own (System V objects, POSIX queues) with a
# /dev/shm of its own, and fails if anything at all is left there when it ended. Exit status 77: this
# kernel does not let this user have such a namespace.
set -u

if [ "${1-}" != --inside ]; then
    if [ "$(id -u)" -eq 0 ]; then
        set -- unshare --ipc --mount sh "$0" --inside "$@"
    else
        set -- unshare --user --map-current-user --keep-caps --ipc --mount sh "$0" --inside "$@"
    fi
    unshare_status=0
    "$1" "$2" true 2>/dev/null || unshare_status=$?
    if [ "$unshare_status" -ne 0 ]; then
        echo "leaks: no private namespace is to be had here"
        exit 77
    fi
    exec "$@"
fi
shift

queues=$(mktemp -d) || exit 1
trap 'umount "$queues" 2>/dev/null; rmdir "$queues"' EXIT
if ! mount -t tmpfs tmpfs /dev/shm || ! mount -t mqueue none "$queues"; then
    echo "leaks: no private /dev/shm or message queues are to be had here"
    exit 77
fi

left() # everything that there is now
{
    for table in msg sem shm; do
        sed "1d;s/^/System V $table:/" "/proc/sysvipc/$table"
    done
    find /dev/shm "$queues" -mindepth 1 | sed 's/^/POSIX: /'
}

before=$(left)
[ -z "$before" ] || { echo "leaks: the namespace is not empty to begin with: $before"; exit 1; }
status=0
if [ "$(id -u)" -eq 0 ]; then
    "$@" || status=$?
else # the rights in the new namespace were for the mounts only
    setpriv --inh-caps=-all --ambient-caps=-all "$@" || status=$?
fi
after=$(left)
if [ -n "$after" ]; then
    printf '%s\n' "$after" "leaks: this was left behind"
    exit 1
fi
echo "leaks: nothing is left, the command answered $status"
exit "$status"
