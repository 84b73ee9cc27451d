# shellcheck shell=bash
# What verifies webhooks in the tests, to be sourced: ensure_verifiers.
# shellcheck source=tests/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../node.sh"
# shellcheck source=tests/python.sh
. "$(dirname "${BASH_SOURCE[0]}")/../python.sh"

# Installs Python and Node.js where they are missing, and exactly the packages of the two lock files. Fails otherwise.
ensure_verifiers() {
    ensure_venv webhook tests/webhook/requirements.txt || return 1
    ensure_node || return 1
    local folder=tests/webhook
    if [ "$folder/node_modules/.package-lock.json" -nt "$folder/package-lock.json" ]; then return 0; fi
    npm ci --prefix "$folder" --no-audit --no-fund --ignore-scripts >&2 </dev/null
}
