# shellcheck shell=bash
# The services and the console: their names and ports, which of the caller's settings each is given, and when one is ready.
# A new service needs a name and a port here, and its start settings in docker-compose.yml and crates/supervise/src/part.rs.
# Sourced by lib.sh.

services=(product-api cart search recommendation)
second_processes=("${services[@]/%/-2}") # with replicas=2
console=console # it watches the services, and is no service of the shop
stores=(postgres redis)
declare -A default_ports=(
  [postgres]=5433 [redis]=6380 [product-api]=8004 [cart]=8005 [search]=8006 [recommendation]=8007
  [product-api-2]=8014 [cart-2]=8015 [search-2]=8016 [recommendation-2]=8017 [console]=8000
)

port_variable() { # NAME: PRODUCT_API_PORT for product-api
  local name=${1^^}
  echo "${name//-/_}_PORT"
}

port_of() { # NAME
  local variable
  variable=$(port_variable "$1")
  echo "${!variable}"
}

url_of() { echo "http://127.0.0.1:$(port_of "$1")"; } # SERVICE

is_service() { [[ " ${services[*]} ${second_processes[*]} $console " == *" $1 "* ]]; }
is_store() { [[ " ${stores[*]} " == *" $1 "* ]]; }
require_known() { # NAME, or nothing
  is_service "${1:-}" || is_store "${1:-}" || die "which one? There are: ${stores[*]} ${services[*]} ${second_processes[*]} $console"
}

# A variable goes to the services whose settings.toml has its section, or a section around it that no service divides
# further: EVENTS__TRANSPORT to those with [events], LANES__VIEW__HARD_TTL to the one with [lanes.view],
# LANES__TTL__HARD_TTL to the one with [lanes]. crates/supervise has the same rule.
has_section() { # SERVICE VARIABLE
  local section=${2%__*} exact around settings=$root/services/${1%-2}/src/settings.toml
  section=${section,,} section=${section//__/.}
  exact="^\[${section//./[.]}\]" around="^\[${section%%.*}\]"
  grep -q "$exact" "$settings" 2>/dev/null || {
    ! grep -q "$exact" "$root"/services/*/src/settings.toml && grep -q "$around" "$settings"
  }
}

is_setting() { [[ $1 =~ ^[A-Z][A-Z0-9_]*__[A-Z0-9_]+(=|$) ]]; }

# The variables of the environment that are settings of SERVICE, as NAME=value lines. The stack itself sets where a
# service listens and what it connects to.
callers_settings() { # SERVICE
  local name
  while read -r name; do
    case $name in HTTP__HOST | HTTP__PORT | *__URL | INDEX__PATH) continue ;; esac
    if is_setting "$name" && has_section "$1" "$name"; then echo "$name=${!name}"; fi
  done < <(compgen -e | sort)
}

# Refuses settings of `start SERVICE` that the service would not read.
check_settings() { # SERVICE [NAME=value…]
  local service=$1 setting
  shift
  for setting; do
    [[ $setting == *=* ]] && is_setting "$setting" || die "'$setting' is not a setting: SECTION__NAME=value"
    has_section "$service" "${setting%%=*}" || die "$service has no section for ${setting%%=*}." \
      "services/${service%-2}/src/settings.toml has them all."
  done
}

# A variable that no service reads is most likely a typing error.
warn_of_strays() {
  local name service
  while read -r name; do
    is_setting "$name" || continue
    for service in "${services[@]}" "$console"; do
      if has_section "$service" "$name"; then continue 2; fi
    done
    say "$name is not used: no service has such a section"
  done < <(compgen -e)
}

ready() { # SERVICE
  local status
  status=$(
    exec 2>/dev/null 3<>"/dev/tcp/127.0.0.1/$(port_of "$1")" || exit 1
    printf 'GET /readyz HTTP/1.0\r\nHost: localhost\r\n\r\n' >&3
    read -r -t 5 _ status _ <&3 && echo "$status"
  )
  [[ $status == 200 ]]
}

# Suggests the next commands, at the end of `up`.
print_urls() { # SERVICE…
  local name
  printf '\n  %-18s%s\n' "$console" "$(url_of "$console")"
  for name; do printf '  %-18s%s/docs\n' "$name" "$(url_of "$name")"; done
  cat <<TEXT
  a product         $(url_of product-api)/products/ttl/1
  a search          $(url_of search)/search?q=lamp
  operations        curl -H @.secrets/operations-header $(url_of product-api)/metrics   (/metrics, /events, /cache/…)
  Postgres          make psql        (127.0.0.1:$POSTGRES_PORT, shop_user, shop_db)
  Redis             make redis-cli   (127.0.0.1:$REDIS_PORT)
  next              make demo · make ps · make logs · make down

TEXT
}
