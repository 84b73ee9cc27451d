# shellcheck shell=bash
# The OpenID Connect provider of the tests, to be sourced: ensure_oidc_provider.
# shellcheck source=tests/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../node.sh"

# Installs Node.js where it is missing, and exactly the packages of the lock file unless they are there. Fails otherwise.
ensure_oidc_provider() {
    ensure_node || return 1
    local folder=tests/oidc
    if [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then return 0; fi
    npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts >&2 </dev/null
}
