# shellcheck shell=bash
# Shared by the scripts under deploy/: messages, timing, settings. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

say() { printf '\033[1m[stack]\033[0m %s\n' "$*"; }
die() {
  printf '\033[1;31m[stack] %s\033[0m\n' "$1" >&2
  shift
  if (($#)); then printf '        %s\n' "$@" >&2; fi
  exit 1
}

# Settings: the caller's environment, else the first file that has the name, else the default.
load_settings() { # FILE…, NAME=value lines; those that don't exist are skipped
  local file name value
  for file; do
    [[ -e $file ]] || continue
    while IFS='=' read -r name value; do
      if [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && -z ${!name+set} ]]; then export "$name=$value"; fi
    done <"$file"
  done
  export POSTGRES_PORT=${POSTGRES_PORT:-5433} REDIS_PORT=${REDIS_PORT:-6380}
  export PRODUCT_API_PORT=${PRODUCT_API_PORT:-8004} PROFILE=${PROFILE:-dev}
}

# Where cargo puts the program NAME.
binary() { # NAME
  local folder=$PROFILE
  if [[ $folder == dev ]]; then folder=debug; fi
  echo "${CARGO_TARGET_DIR:-$root/target}/$folder/$1"
}

# Phases: `phase build` begins one, `phases` prints how long each took.
now_ms() { echo "$((${EPOCHREALTIME/[.,]/} / 1000))"; }
phase_name='' phase_began=0 phase_report=''
phase() {
  local now
  now=$(now_ms)
  if [[ -n $phase_name ]]; then
    phase_report+=$(printf '%s %d.%d s' "${phase_report:+, }$phase_name" $(((now - phase_began) / 1000)) $(((now - phase_began) % 1000 / 100)))
  fi
  phase_name=$1 phase_began=$now
}
phases() {
  phase ''
  say "took:$phase_report"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }
need_free_port() { # PORT VARIABLE
  if ! port_open "$1"; then return 0; fi
  die "port $1 is taken by a process that is not part of this stack." \
    "Stop that process (\`ss -ltnp 'sport = :$1'\` names it), or choose another port: $2=… make up" \
    "If it is this project's other stack: STACK=docker make down, or STACK=native make down."
}

# What to try next, printed at the end of `up`.
print_urls() {
  local api=http://127.0.0.1:$PRODUCT_API_PORT
  cat <<TEXT

  product API   $api/products/ttl/1
  API docs      $api/docs
  metrics       $api/metrics
  Postgres      make psql        (127.0.0.1:$POSTGRES_PORT, shop_user, shop_db)
  Redis         make redis-cli   (127.0.0.1:$REDIS_PORT)
  next          make demo · make logs · make down

TEXT
}
