#!/bin/sh
# Starts one server in a directory of its own, and removes both at the end of its input.
# Arguments: a name for the directory, and the user who shall own it (empty: the user who runs this script).
# It first prints the directory. Then it reads one command per line from standard input, and prints one line for each:
#   spawn 'program' 'argument' …   → its process id
#   signal NAME                    → ok     (the server alone)
#   tree NAME                      → ok     (the server and its children)
#   reap                           → its exit code, 128 + n for signal n; waits for the exit; can be repeated
# The end of input means that the process which sent the commands has ended, for any reason.

# The owner may be unable to enter TMPDIR, such as the private one of a root session.
for parent in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
    dir=$(mktemp -d "$parent/testkit-$1-XXXXXX") || continue
    [ -n "$2" ] || break
    chown "$2" "$dir"
    setpriv --reuid="$2" --regid="$2" --init-groups -- test -w "$dir" && break
    rmdir "$dir"
    dir=
done
[ -n "$dir" ] || exit 1
echo "$dir"

# When the owner dies while the server is stopped, the kernel sends this group a SIGHUP. The script must then clean up.
trap '' HUP

pid=
tree() {
    [ -n "$pid" ] || return 0
    # The parent is stopped before its children are listed, so that no child is created in between.
    # shellcheck disable=SC2046 # a word per child
    kill -s STOP "$pid" && kill -s "$1" $(cat "/proc/$pid/task/$pid/children") "$pid"
}

while IFS= read -r order; do
    case $order in
    spawn\ *)
        eval "set -- ${order#spawn }"
        "$@" </dev/null >>"$dir/log" 2>&1 &
        pid=$!
        echo "$pid"
        ;;
    signal\ *)
        [ -z "$pid" ] || kill -s "${order#signal }" "$pid"
        echo ok
        ;;
    tree\ *)
        tree "${order#tree }"
        echo ok
        ;;
    reap)
        [ -z "$pid" ] || { wait "$pid"; code=$?; pid=; }
        echo "$code"
        ;;
    esac
done

tree KILL
[ -z "$pid" ] || wait "$pid"
# A Postgres that could not clean up leaves a System V memory segment, named in line 7 of its pid file.
[ ! -f "$dir/data/postmaster.pid" ] || ipcrm -m "$(sed -n '7s/.* //p' "$dir/data/postmaster.pid")"
for _ in 1 2 3 4 5; do # its children may still be dying
    rm -rf "$dir" && break
    sleep 0.1
done
