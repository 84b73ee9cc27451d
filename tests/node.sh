# shellcheck shell=bash
# Node.js for tests, to be sourced: ensure_node.
#
#   BENCHSIDE_TEST_INSTALL=no   never install Debian packages

has_node() {
    command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1
}

# Installs Node.js and npm from Debian packages where they are missing and that can be done. Fails otherwise.
ensure_node() {
    if has_node; then return 0; fi
    if [ "${BENCHSIDE_TEST_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null 2>&1; then return 1; fi
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || return 1
        as_root=(sudo -n)
    fi
    echo "Installing the Debian packages nodejs and npm …" >&2
    "${as_root[@]+"${as_root[@]}"}" apt-get update -qq >&2 || true
    "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends nodejs npm >&2 </dev/null || return 1
    has_node
}
