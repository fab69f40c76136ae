# shellcheck shell=bash
# Postgres and Redis as private instances of this checkout, on loopback. Sourced by `stack`.

postgres_ctl() { as_owner "$(postgres_bin)/pg_ctl" -D "$state/postgres/data" "$@"; }
postgres_pid() { pid_of postgres/data/postmaster.pid "$state/postgres/data"; }

# The superuser has no password, and can connect only through the socket, as the user who owns the data.
start_postgres() {
  local data=$state/postgres/data options
  if postgres_pid >/dev/null; then
    if [[ $(sed -n 4p "$data/postmaster.pid") == "$POSTGRES_PORT" ]]; then return 0; fi
    stop_postgres
  fi
  need_free_port "$POSTGRES_PORT" POSTGRES_PORT
  if [[ ! -e $data ]]; then
    say "creating the Postgres cluster in $data"
    as_owner rm -rf "$data.new"
    as_owner "$(postgres_bin)/initdb" -D "$data.new" -U "$owner" --no-locale -E UTF8 \
      --auth-local=peer --auth-host=scram-sha-256 2>&1 | as_owner tee "$(log_of postgres)" >/dev/null ||
      fail_with_log postgres "initdb failed."
    as_owner mv "$data.new" "$data"
  fi
  say "starting Postgres on 127.0.0.1:$POSTGRES_PORT"
  options="-p $POSTGRES_PORT -c listen_addresses=127.0.0.1 -c unix_socket_directories='$(socket_dir)'"
  postgres_ctl start -w -t 60 -l "$(log_of postgres)" -o "$options" >/dev/null ||
    fail_with_log postgres "Postgres did not start." "Data from another major version? make reset deletes it, then: make up"
}

# Creates every role and database, with the passwords of the current .env.
create_databases() {
  PGHOST=$(socket_dir) PGPORT=$POSTGRES_PORT PGUSER=$owner PATH=$(postgres_bin):$PATH as_owner sh -s <"$root/deploy/postgres/databases" ||
    fail_with_log postgres "the databases could not be created."
}

stop_postgres() {
  if ! postgres_pid >/dev/null; then return 0; fi
  say "stopping Postgres"
  postgres_ctl stop -w -t 20 -m fast >/dev/null || postgres_ctl stop -w -m immediate >/dev/null
}

redis_running() { pid_of redis/pid "127.0.0.1:" >/dev/null; }

# Redis keeps nothing on disk, so whenever it starts it is empty.
start_redis() {
  local folder=$state/redis acl
  acl=$("$root/deploy/redis/render-acl")
  if redis_running; then
    if pid_of redis/pid ":$REDIS_PORT" >/dev/null && [[ $acl == "$(<"$folder/users.acl")" ]] &&
      cmp -s "$root/deploy/redis/redis.conf" "$folder/redis.conf"; then return 0; fi
    stop_redis
  fi
  need_free_port "$REDIS_PORT" REDIS_PORT
  say "starting Redis on 127.0.0.1:$REDIS_PORT"
  # Copies, because the owner may be unable to enter the checkout. 0600: the ACL file holds the passwords.
  as_owner sh -c 'umask 077; cat >redis/redis.conf' <"$root/deploy/redis/redis.conf"
  as_owner sh -c 'umask 077; cat >redis/users.acl' <<<"$acl"
  as_owner "$(redis_server)" "$folder/redis.conf" --bind 127.0.0.1 --port "$REDIS_PORT" --dir "$folder" \
    --aclfile "$folder/users.acl" --pidfile "$folder/pid" --logfile "$(log_of redis)" --daemonize yes >/dev/null ||
    fail_with_log redis "Redis did not start."
  local tries
  for ((tries = 0; tries < 100; tries++)); do
    if [[ $(redis_cli ping 2>/dev/null) == PONG ]]; then return 0; fi
    sleep 0.1
  done
  fail_with_log redis "Redis did not answer within 10 s."
}

stop_redis() {
  local pid
  pid=$(pid_of redis/pid "127.0.0.1:") || return 0
  say "stopping Redis"
  end_process "$pid"
}

redis_cli() { REDISCLI_AUTH=$REDIS_ADMIN_PASSWORD "$(redis_client)" -h 127.0.0.1 -p "$REDIS_PORT" "$@"; }
psql_as() { # shop|cart|recommendation ARGUMENT…
  local name=$1 password=${1^^}_DB_PASSWORD
  shift
  PGPASSWORD=${!password} "$(postgres_bin)/psql" -h 127.0.0.1 -p "$POSTGRES_PORT" -U "${name}_user" -d "${name}_db" "$@"
}
