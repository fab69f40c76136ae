# shellcheck shell=bash
# The services, built by cargo and run from the target folder. Sourced by `stack`.

build() {
  say "building with cargo (PROFILE=$PROFILE; the first time takes some minutes)"
  compile demo
}

# Prints the settings of a start; of two lines with one name the later counts, so that a start can override everything.
settings_of() { # SERVICE [NAME=value…]
  local service=$1
  shift
  callers_settings "$service"
  echo HTTP__HOST=127.0.0.1
  echo "HTTP__PORT=$(port_of "$service")"
  case $service in
    product-api)
      database_url shop
      redis_url product-api "$REDIS_PRODUCT_API_PASSWORD"
      echo "SEED_PRODUCTS=${SEED_PRODUCTS:-2000}"
      ;;
    cart)
      database_url cart
      redis_url cart "$REDIS_CART_PASSWORD"
      echo "PRODUCT_API__URL=$(url_of product-api)"
      ;;
    search)
      redis_url search "$REDIS_SEARCH_PASSWORD"
      echo "PRODUCT_API__URL=$(url_of product-api)"
      echo "INDEX__PATH=$state/search/index"
      ;;
    recommendation)
      database_url recommendation
      redis_url recommendation "$REDIS_RECOMMENDATION_PASSWORD"
      echo "PRODUCT_API__URL=$(url_of product-api)"
      echo "CART__URL=$(url_of cart)"
      ;;
  esac
  if (($#)); then printf '%s\n' "$@"; fi
}

# POSTGRES_AT and REDIS_AT (host:port) are the addresses of proxies in front of these, if there are any.
database_url() { # shop|cart|recommendation
  local password=${1^^}_DB_PASSWORD
  echo "POSTGRES__URL=postgres://${1}_user:${!password}@${POSTGRES_AT:-127.0.0.1:$POSTGRES_PORT}/${1}_db"
}
redis_url() { echo "REDIS__URL=redis://$1:$2@${REDIS_AT:-127.0.0.1:$REDIS_PORT}"; } # USER PASSWORD

# Does nothing if the service already runs this binary with these settings. Does not wait until the service is ready.
start_service() { # SERVICE [NAME=value…]
  local service=$1 folder=$state/$1 pid program settings
  program=$(binary "$service")
  settings="$program"$'\n'$(settings_of "$@")
  [[ -x $program ]] || die "$program is gone." "make up builds it."
  if pid=$(pid_of "$service/pid" "/$service"); then
    if [[ ! $program -nt $folder/pid && $settings == "$(<"$folder/settings")" ]]; then return 0; fi
    say "$service has changed since it was started"
    stop_service "$service"
  fi
  need_free_port "$(port_of "$service")" "$(port_variable "$service")"
  say "starting $service on 127.0.0.1:$(port_of "$service")"
  if [[ -e $folder/log ]]; then mv -f "$folder/log" "$folder/log.before"; fi
  (
    umask 077
    echo "$settings" >"$folder/settings"
    only_these_settings <<<"$settings"
    setsid "$program" </dev/null >"$folder/log" 2>&1 &
    echo $! >"$folder/pid"
  )
}

# The service gets neither the settings nor the passwords of another service.
only_these_settings() {
  local name line
  while read -r name; do
    if is_setting "$name" || [[ $name == *_PASSWORD ]]; then unset "$name"; fi
  done < <(compgen -e)
  while IFS= read -r line; do
    if [[ $line == *=* ]]; then export "${line?}"; fi
  done
}

stop_service() { # SERVICE
  local pid
  pid=$(pid_of "$1/pid" "/$1") || return 0
  say "stopping $1"
  end_process "$pid"
}

stop_services() {
  local service
  for service in "${services[@]}"; do stop_service "$service" & done
  wait
}

wait_for_service() { # SERVICE
  local pid tries
  pid=$(<"$state/$1/pid")
  for ((tries = 1; tries <= 600; tries++)); do
    if ready "$1"; then return 0; fi
    is_running "$pid" || fail_with_log "$1" "$1 ended while starting; its last words are above."
    if ((tries % 20 == 0)); then say "waiting for $(url_of "$1")/readyz ($((tries / 10)) s)"; fi
    sleep 0.1
  done
  fail_with_log "$1" "$1 was not ready within 60 s." "More: make logs s=$1"
}
