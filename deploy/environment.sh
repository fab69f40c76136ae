# shellcheck shell=bash
# The environment of every script in this folder, independent of the caller's shell. Sourced first, by each script and by
# `deploy/shell`, which runs the Makefile's recipes. Sourcing it twice changes nothing.
#
# Removed: options, functions and locale that change what bash does, and the variables by which Postgres, Redis, Compose
# and Docker clients would reach other servers than this checkout's (or build in another place), and CONFIG_FILE, which the
# services would read. Also what makes Python, pip or Node install or load something else than the scripts say. Kept: the
# Docker context, cargo's variables, the indexes of pip and npm, and the proxies, because cargo and apt-get may need these;
# loopback never goes through a proxy.

set +o posix +o noclobber +o noglob
shopt -u nocasematch nocaseglob failglob nullglob dotglob
while read -r _ _ name; do unset -f "$name"; done < <(declare -F)
unset CDPATH GLOBIGNORE BASH_ENV ENV POSIXLY_CORRECT GREP_OPTIONS QUOTING_STYLE TAR_OPTIONS LANGUAGE CONFIG_FILE
unset BUILDX_BUILDER BUILDKIT_HOST
unset PYTHONPATH PYTHONHOME PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV NODE_ENV NODE_OPTIONS
export LC_ALL=C

for name in "${!PG@}" "${!REDISCLI_@}" "${!COMPOSE_@}" "${!DOCKER_@}"; do
  case $name in
    DOCKER_HOST | DOCKER_CONTEXT | DOCKER_CONFIG | DOCKER_CERT_PATH | DOCKER_TLS | DOCKER_TLS_VERIFY | DOCKER_API_VERSION) ;;
    *) unset "$name" ;;
  esac
done
for name in no_proxy NO_PROXY; do
  case ,${!name:-}, in
    *,127.0.0.1,localhost,::1,*) ;;
    *) export "$name=127.0.0.1,localhost,::1${!name:+,${!name}}" ;;
  esac
done
unset name

# The checkout's own path, without symbolic links: a link to a checkout is the same stack.
# shellcheck disable=SC2034 # for the scripts that source this
root=$(cd -P -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd -P)
