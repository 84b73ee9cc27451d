# shellcheck shell=bash
# A private PostgreSQL for tests, to be sourced: ensure_postgres, start_cluster, stop_cluster.
#
# The cluster lives in a temporary folder, listens on a free loopback port only, and needs no rights beyond those of the
# person who runs it. PostgreSQL refuses to run as root, so root lends it another user.
#
#   BENCHSIDE_TEST_INSTALL=no   never install packages
#   BENCHSIDE_TEST_FSYNC=on     make the cluster durable (off: faster, and lost with the machine)

cluster_folder=
cluster_bin=
cluster_port=

# The newest folder that holds PostgreSQL's server programs.
postgres_bin() {
    local folder found=
    if command -v pg_config >/dev/null 2>&1; then
        folder=$(pg_config --bindir)
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then
            echo "$folder"
            return
        fi
    fi
    while IFS= read -r folder; do
        if [ -x "$folder/initdb" ] && [ -x "$folder/postgres" ]; then found=$folder; fi
    done < <(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V)
    if [ -n "$found" ]; then echo "$found"; else return 1; fi
}

# Whether programs can be linked with libpq.
has_libpq() {
    if command -v pkg-config >/dev/null 2>&1 && pkg-config --exists libpq; then return 0; fi
    local folder
    command -v pg_config >/dev/null 2>&1 || return 1
    folder=$(pg_config --libdir)
    [ -e "$folder/libpq.so" ] || [ -e "$folder/libpq.dylib" ]
}

# Installs PostgreSQL and libpq from Debian packages where they are missing and that can be done. Fails otherwise.
ensure_postgres() {
    if postgres_bin >/dev/null && has_libpq; then return 0; fi
    if [ "${BENCHSIDE_TEST_INSTALL:-yes}" = no ] || ! command -v apt-get >/dev/null 2>&1; then return 1; fi
    local as_root=()
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null 2>&1 || return 1
        as_root=(sudo)
        # Without a terminal nobody can type a password.
        if [ ! -t 0 ]; then as_root=(sudo -n); fi
    fi
    echo "Installing the Debian packages postgresql and libpq-dev …" >&2
    "${as_root[@]+"${as_root[@]}"}" apt-get update -qq >&2 || true
    "${as_root[@]+"${as_root[@]}"}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends postgresql libpq-dev >&2 </dev/null || return 1
    postgres_bin >/dev/null && has_libpq
}

# Runs a command as the person, or for root as a user PostgreSQL accepts; in a folder that user may enter.
as_cluster_user() (
    cd "$cluster_folder" || exit 1
    if [ "$(id -u)" != 0 ]; then
        exec "$@"
    elif command -v runuser >/dev/null 2>&1; then
        exec runuser -u "$(cluster_user)" -- "$@"
    elif command -v setpriv >/dev/null 2>&1; then
        exec setpriv --reuid "$(cluster_user)" --regid "$(id -g "$(cluster_user)")" --clear-groups -- "$@"
    else
        exec su -s /bin/sh "$(cluster_user)" -c "$(printf '%q ' "$@")"
    fi
)

cluster_user() {
    if id postgres >/dev/null 2>&1; then echo postgres; else echo nobody; fi
}

# A loopback port that nobody listens on now; somebody may by the time it is used.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        if ! (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
            echo "$port"
            return
        fi
    done
}

# Starts a cluster and exports BENCHSIDE_TEST_POSTGRES. Whoever starts one calls stop_cluster at exit.
start_cluster() {
    cluster_bin=$(postgres_bin) || return 1
    cluster_folder=$(mktemp -d "${TMPDIR:-/tmp}/benchside-postgres.XXXXXX") || return 1
    local data=$cluster_folder/data log=$cluster_folder/log
    if [ "$(id -u)" = 0 ]; then chown "$(cluster_user)" "$cluster_folder" || return 1; fi
    if ! as_cluster_user "$cluster_bin/initdb" -D "$data" -U postgres -A trust -E UTF8 --locale=C --no-sync \
        >"$cluster_folder/initdb.log" 2>&1; then
        cat "$cluster_folder/initdb.log" >&2
        stop_cluster
        return 1
    fi
    cat >>"$data/postgresql.conf" <<SETTINGS
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
max_connections = 1000
lc_messages = 'C'
fsync = ${BENCHSIDE_TEST_FSYNC:-off}
SETTINGS
    for _ in 1 2 3 4 5; do
        cluster_port=$(free_port)
        # Its own log: a server that kept this script's output open would keep a pipe behind it waiting.
        if as_cluster_user "$cluster_bin/pg_ctl" -D "$data" -l "$log" -o "-p $cluster_port" -w -t 60 start >/dev/null 2>&1 </dev/null
        then
            export BENCHSIDE_TEST_POSTGRES="postgres://postgres@127.0.0.1:$cluster_port/postgres"
            return 0
        fi
    done
    cat "$log" >&2
    stop_cluster
    return 1
}

# Stops the cluster, if one runs, and removes its folder.
stop_cluster() {
    if [ -z "$cluster_folder" ]; then return 0; fi
    if [ -f "$cluster_folder/data/postmaster.pid" ]; then
        as_cluster_user "$cluster_bin/pg_ctl" -D "$cluster_folder/data" -m immediate -w stop >/dev/null 2>&1 || true
    fi
    rm -rf "$cluster_folder"
    cluster_folder=
    unset BENCHSIDE_TEST_POSTGRES
}
