# shellcheck shell=bash
# Shared by the scripts under deploy/: messages, timing, settings. Sourced, never run.

# shellcheck source=deploy/environment.sh
. "$(dirname -- "${BASH_SOURCE[0]}")/environment.sh"
# shellcheck source=deploy/services.sh
. "$root/deploy/services.sh"

# Distinguishes this checkout from others on the same machine.
checkout_id() { printf %s "$root" | sha256sum | cut -c1-8; }

say() { printf '\033[1m[stack]\033[0m %s\n' "$*"; }
die() {
  printf '\033[1;31m[stack] %s\033[0m\n' "$1" >&2
  shift
  if (($#)); then printf '        %s\n' "$@" >&2; fi
  exit 1
}

# Settings: the caller's environment, else the first file that has the name, else the default.
load_settings() { # FILE…, NAME=value lines; those that don't exist are skipped
  local file name value variable
  for file; do
    [[ -e $file ]] || continue
    # The last line may have no line break, and each line that of Windows.
    while IFS='=' read -r name value || [[ -n $name ]]; do
      value=${value%$'\r'}
      if [[ $name =~ ^[A-Za-z_][A-Za-z0-9_]*$ && -z ${!name+set} ]]; then export "$name=$value"; fi
    done <"$file"
  done
  for name in "${!default_ports[@]}"; do
    variable=$(port_variable "$name")
    export "$variable=${!variable:-${default_ports[$name]}}"
  done
  check_ports
  export PROFILE=${PROFILE:-dev}
  [[ $PROFILE =~ ^(dev|release)$ ]] || die "PROFILE must be dev or release, got '$PROFILE'."
}

# Every port is checked before anything is started, stopped or remembered. Kubernetes and Docker links set variables such
# as REDIS_PORT=tcp://10.0.0.1:6379.
check_ports() {
  local name variable port taken=' '
  for name in "${stores[@]}" "${services[@]}" "${second_processes[@]}" "$console"; do
    variable=$(port_variable "$name") port=$(port_of "$name")
    [[ $port =~ ^[1-9][0-9]{0,4}$ ]] && ((port <= 65535)) ||
      die "$variable must be a port from 1 to 65535, got '$port'." "Unset it, or set it to a number: $variable=… make up"
    if [[ $taken == *" $port="* ]]; then
      taken=${taken#*" $port="}
      die "$variable and ${taken%% *} must be different ports, both are $port."
    fi
    taken+="$port=$variable "
  done
}

# Compiles the services and one tool, and prints where the tool is.
compile() { # TOOL
  "$root/deploy/native/build" "$1" || die "the build failed; cargo's message is above."
}
program() { grep "/$1\$" "$root/.stack-programs"; } # NAME

# Installs the packages of FOLDER/requirements.txt into a Python environment of its own, and prints nothing where they are there.
# A machine that cannot have them, for example because it is offline, is no fault: then the exit status is 75, and their test may
# be skipped. Every other failure of pip is a fault.
install_python_packages() { # NAME FOLDER ENVIRONMENT
  local name=$1 requirements=$2/requirements.txt environment=$3 log=$3/pip.log
  # A change of the requirements creates the environment again.
  if cmp -s "$requirements" "$environment/requirements.txt"; then return 0; fi
  "$root/deploy/native/tools" python || exit 75
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { say "$(python3 --version) is older than Python 3.11" >&2 && exit 75; }
  say "installing $name into $environment"
  rm -rf "$environment"
  python3 -m venv "$environment"
  if ! "$environment/bin/pip" install --quiet --disable-pip-version-check --requirement "$requirements" >"$log" 2>&1; then
    cat "$log" >&2
    if grep -qE 'connection broken by|ConnectionPool|No matching distribution' "$log"; then exit 75; fi
    die "pip failed, although it reached its index; its message is above."
  fi
  cp "$requirements" "$environment/requirements.txt"
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
