# shellcheck shell=bash
# Owners, pid files and log files of the processes that the native stack runs. Sourced by `stack`.

# Postgres refuses to run as root. Root therefore runs the stores as the `postgres` user, below /var/lib,
# because the checkout may be in a folder that this user cannot enter. Any other user runs them as that user.
if ((EUID == 0)); then
  owner=postgres
  state=${STACK_STATE:-/var/lib/shop-cache-$(checkout_id)}
else
  owner=$(id -un)
  state=${STACK_STATE:-$root/.stack}
fi
if [[ $state != /* ]]; then state=$PWD/$state; fi

as_owner() { # COMMAND…, from a folder that the owner can enter
  (
    cd "$state" || exit
    if ((EUID == 0)); then exec setpriv --reuid "$owner" --regid "$owner" --init-groups -- "$@"; else exec "$@"; fi
  )
}

make_state() {
  if ((EUID == 0)) && ! id -u "$owner" >/dev/null 2>&1; then
    die "root cannot run Postgres, and there is no '$owner' user on this machine." \
      "Run this as a normal user, or create one: useradd --system $owner"
  fi
  mkdir -p "$state"
  chmod 711 "$state"
  local service
  for service in "${services[@]}"; do install -d -m 700 "$state/$service"; done
  install -d -m 700 -o "$owner" "$state/postgres" "$state/redis" "$(socket_dir)"
}

# Unix socket paths end at 107 bytes; a deep checkout gets a short folder instead.
socket_dir() {
  if ((${#state} < 75)); then
    echo "$state/postgres/run"
  else
    echo "/tmp/shop-cache-$(printf %s "$state" | sha256sum | cut -c1-8)"
  fi
}

log_of() { echo "$state/$1/log"; }

# A zombie, which has ended and was not waited for yet, does not run. The state shows this; an empty command line does
# not, because every process has one for a moment during exec.
is_running() { # PID
  local stat
  if [[ -d /proc/self ]]; then
    read -r stat 2>/dev/null <"/proc/$1/stat" || return 1
    stat=${stat##*) }
  else
    stat=$(ps -o state= -p "$1") || return 1
  fi
  [[ $stat != [ZX]* ]]
}

command_of() { # PID
  if [[ -d /proc/self ]]; then tr '\0' ' ' <"/proc/$1/cmdline"; else ps -o args= -p "$1"; fi 2>/dev/null || true
}

# The pid in FILE, if it runs and belongs to this stack: a pid file may outlive its process, and the pid may be reused.
pid_of() { # FILE (below the state folder) PART-OF-ITS-COMMAND-LINE
  local pid
  pid=$(head -n 1 "$state/$1" 2>/dev/null) || return 1
  [[ $(command_of "$pid") == *"$2"* ]] && echo "$pid"
}

end_process() { # PID: sends a request to exit, waits, and then kills it
  local waited
  kill -TERM "$1" 2>/dev/null || return 0
  for ((waited = 0; waited < 200; waited++)); do
    if ! is_running "$1"; then return 0; fi
    sleep 0.1
  done
  say "process $1 did not end within 20 s; killing it"
  kill -KILL "$1" 2>/dev/null || true
}

fail_with_log() { # SERVICE MESSAGE HINT…
  local service=$1
  shift
  printf '\n--- the last lines of %s\n' "$(log_of "$service")" >&2
  tail -n 15 "$(log_of "$service")" >&2 || true
  printf -- '---\n' >&2
  die "$@"
}
