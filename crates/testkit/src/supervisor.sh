#!/bin/sh
# Starts one server in a directory of its own, and removes both when its orders end.
# Arguments: a name for the directory, and the user who shall own it (empty: whoever runs this).
# It first says the directory. Then one order a line on standard input, one line of answer each:
#   spawn 'program' 'argument' …   → its process id
#   signal NAME                    → ok     (the server alone)
#   tree NAME                      → ok     (the server and its children)
#   reap                           → its exit code, 128 + n for signal n; waits for the end; asked again, says it again
# End of input means that whoever gave the orders is gone, in whatever way.

dir=$(mktemp -d "${TMPDIR:-/tmp}/testkit-$1-XXXXXX") || exit 1
[ -z "$2" ] || chown "$2" "$dir"
echo "$dir"

# When the owner dies while the server is stopped, the kernel sends this group a hangup; there is work to do then.
trap '' HUP

pid=
tree() {
    [ -n "$pid" ] || return 0
    # The parent is stopped before its children are listed, so that none is born in between.
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
