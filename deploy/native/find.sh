# shellcheck shell=bash
# Where this machine keeps the tools that the native stack runs on. Sourced, never run.
# Each function prints a path, or prints nothing and fails when the tool is absent or too old.

at_least() { # VERSION MINIMUM
  [[ $(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1) == "$2" ]]
}

# The folder of the newest PostgreSQL, 15 or later, that has a server.
postgres_bin() {
  local folder version
  while read -r folder; do
    version=$("$folder/postgres" --version 2>/dev/null | grep -oE '[0-9]+(\.[0-9]+)?' | head -n 1) || continue
    if at_least "$version" 15; then
      echo "$folder"
      return
    fi
  done < <(
    printf '%s\n' /usr/lib/postgresql/*/bin | sort -Vr
    dirname "$(readlink -f "$(command -v postgres || echo /nowhere/postgres)")"
  )
  return 1
}

# Redis 7.0 or later, or Valkey.
redis_server() {
  local name version
  for name in redis-server valkey-server; do
    version=$("$name" --version 2>/dev/null | grep -oE 'v=[0-9.]+' | cut -c3-) || continue
    if at_least "$version" 7.0; then
      command -v "$name"
      return
    fi
  done
  return 1
}

redis_client() { command -v redis-cli || command -v valkey-cli; }

# A C compiler that can link, headers included; some crates build C, and rustc links with `cc`.
c_compiler() {
  printf '#include <stdlib.h>\nint main(void) { return 0; }\n' | cc -x c - -o /dev/null 2>/dev/null && command -v cc
}
