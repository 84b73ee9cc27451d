# shellcheck shell=bash
# A served Benchside for scripts, to be sourced: start_served, stop_served.
#
# Its database, keys and log are in a temporary folder of its own; it listens on a free loopback port only.

served_folder=
served_pid=
served_base=

# start_served serve, or start_served demo, with further arguments: sets served_base once it listens.
start_served() {
    local command=$1 log
    shift
    log=$served_folder/log
    BENCHSIDE_RATE_LIMIT=0 "$served_binary" "$command" --listen 127.0.0.1:0 \
        --database "sqlite://$served_folder/benchside.db" "$@" >"$log" 2>&1 </dev/null &
    served_pid=$!
    for _ in $(seq 600); do
        served_base=$(grep -o 'http://127\.0\.0\.1:[0-9]*' "$log" | head -n 1) || true
        if [ -n "$served_base" ]; then return 0; fi
        if ! kill -0 "$served_pid" 2>/dev/null; then break; fi
        sleep 0.1
    done
    cat "$log" >&2
    return 1
}

# Builds the program and makes the folder that start_served uses. With a test beside it the libraries are those that the
# tests have built already; cargo would build them once more for the program alone.
prepare_served() {
    cargo build --quiet "$@" --bin benchside --test long || return 1
    served_binary=$PWD/target/debug/benchside
    if [[ " $* " == *" --release "* ]]; then served_binary=$PWD/target/release/benchside; fi
    served_folder=$(mktemp -d "${TMPDIR:-/tmp}/benchside-served.XXXXXX")
}

# Stops what was started, by its process id, and removes its folder.
stop_served() {
    if [ -n "$served_pid" ]; then
        kill "$served_pid" 2>/dev/null || true
        wait "$served_pid" 2>/dev/null || true
        served_pid=
    fi
    if [ -n "$served_folder" ]; then rm -rf "$served_folder"; fi
    served_folder=
}
