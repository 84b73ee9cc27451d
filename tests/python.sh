# shellcheck shell=bash
# Python tools for tests, to be sourced: ensure_python, ensure_venv.
#
#   BENCHSIDE_TEST_INSTALL=no   never install Debian packages

# Whether environments can be made: Debian keeps that in a package of its own.
has_python() {
    command -v python3 >/dev/null 2>&1 && python3 -c 'import ensurepip, venv' 2>/dev/null
}

# Installs Python with environments from Debian packages where it is missing and that can be done. Fails otherwise.
ensure_python() {
    if has_python; then return 0; fi
    if [ "${BENCHSIDE_TEST_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null 2>&1; then return 1; fi
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || return 1
        as_root=(sudo -n)
    fi
    echo "Installing the Debian packages python3 and python3-venv …" >&2
    "${as_root[@]+"${as_root[@]}"}" apt-get update -qq >&2 || true
    "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends python3 python3-venv >&2 </dev/null || return 1
    has_python
}

# ensure_venv NAME REQUIREMENTS: an environment at target/venv/NAME that holds exactly those packages.
ensure_venv() {
    local folder=target/venv/$1 requirements=$2
    if [ -f "$folder/done" ] && cmp -s "$requirements" "$folder/done"; then return 0; fi
    ensure_python || return 1
    rm -rf "$folder"
    python3 -m venv "$folder" || return 1
    "$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps -r "$requirements" || return 1
    "$folder/bin/python" -m pip check --disable-pip-version-check >/dev/null || return 1
    cp "$requirements" "$folder/done"
}
