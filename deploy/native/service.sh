# shellcheck shell=bash
# The product API, built by cargo and run from the target folder. Sourced by `stack`.

# The whole workspace: with `-p` cargo would choose other features, and the tests would compile it all again.
build() {
  say "building with cargo (PROFILE=$PROFILE; the first time takes some minutes)"
  (cd "$root" && cargo build --workspace --profile "$PROFILE") ||
    die "the build failed; cargo's message is above."
}

# What the service is started with: ours, then any SECTION__NAME=value that the caller has set.
service_settings() {
  cat <<TEXT
HTTP__HOST=127.0.0.1
HTTP__PORT=$PRODUCT_API_PORT
POSTGRES__URL=postgres://shop_user:$SHOP_DB_PASSWORD@127.0.0.1:$POSTGRES_PORT/shop_db
REDIS__URL=redis://product-api:$REDIS_PRODUCT_API_PASSWORD@127.0.0.1:$REDIS_PORT/0
SEED_PRODUCTS=${SEED_PRODUCTS:-2000}
LOG__FORMAT=${LOG__FORMAT:-pretty}
TEXT
  env | grep -E '^[A-Z0-9_]+__[A-Z0-9_]+=' | grep -vE '^(HTTP__HOST|HTTP__PORT|POSTGRES__URL|REDIS__URL|LOG__FORMAT)=' | sort || true
}

# Left alone if it already runs this binary with these settings.
start_service() {
  local folder=$state/product-api pid program settings line
  program=$(binary product-api)
  settings="$program"$'\n'$(service_settings)
  [[ -x $program ]] || die "$program has not been built yet." "make up builds it."
  if pid=$(pid_of product-api/pid "$program"); then
    if [[ ! $program -nt $folder/pid && $settings == "$(<"$folder/settings")" ]]; then return 0; fi
    say "the product API has changed since it was started"
    stop_service
  fi
  need_free_port "$PRODUCT_API_PORT" PRODUCT_API_PORT
  say "starting the product API on 127.0.0.1:$PRODUCT_API_PORT"
  if [[ -e $folder/log ]]; then mv -f "$folder/log" "$folder/log.before"; fi
  (
    umask 077
    echo "$settings" >"$folder/settings"
    while IFS= read -r line; do export "${line?}"; done < <(service_settings)
    setsid "$program" </dev/null >"$folder/log" 2>&1 &
    echo $! >"$folder/pid"
  )
}

stop_service() {
  local pid
  pid=$(pid_of product-api/pid product-api) || return 0
  say "stopping the product API"
  end_process "$pid"
}

service_ready() {
  local status
  status=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$PRODUCT_API_PORT" || exit 1
    printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    read -r -t 5 _ status _ <&3 && echo "$status"
  )
  [[ $status == 200 ]]
}

wait_for_service() {
  local pid tries
  pid=$(<"$state/product-api/pid")
  for ((tries = 1; tries <= 600; tries++)); do
    if service_ready; then return 0; fi
    [[ -n $(command_of "$pid") ]] ||
      fail_with_log product-api "the product API ended while starting; its last words are above."
    if ((tries % 20 == 0)); then say "waiting for http://127.0.0.1:$PRODUCT_API_PORT/readyz ($((tries / 10)) s)"; fi
    sleep 0.1
  done
  fail_with_log product-api "the product API was not ready within 60 s." "More: make logs s=product-api"
}
