#!/bin/bash
# What a wrapper costs: start and exit, and lines on standard error, beside what there is.
#
#   benches/wrapper.sh WRAPPER [ARGUMENT...]     e.g. target/release/lastwords run --
#
# Start and exit: the median of STARTS runs of `true`, the contenders in turns. Lines: the best of
# ROUNDS runs over BYTES of lines of 100 bytes, to three sinks. The wrapped `cat` writes them to
# standard error; beside it stands the chain of `cat` that is as long.
set -eu

[ $# -gt 0 ] || { echo "usage: $0 WRAPPER [ARGUMENT...]" >&2; exit 2; }
wrapper=("$@")
scratch=$(mktemp -d "${TMPDIR:-/dev/shm}/wrapper.XXXXXX")
trap 'rm -rf "$scratch"' EXIT
lines=$scratch/lines sink=$scratch/sink
line=$(printf '2024-05-06T07:08:09Z  INFO service::ingest: %055d' 7)
yes "$line" | head -c "${BYTES:-1073741824}" >"$lines" || true

# Runs a command, and adds its time in microseconds to the file of its name.
timed() {
    local name=$1 begun=${EPOCHREALTIME/./}
    shift
    "$@"
    echo $((${EPOCHREALTIME/./} - begun)) >>"$scratch/$name"
}

# Prints what is in the middle of a contender's times, or the first.
median() {
    local middle=$((($(wc -l <"$scratch/$1") + 1) / 2))
    printf '%-24s %8.2f ms\n' "$1" "$(sort -n "$scratch/$1" | sed -n "${middle}p")e-3"
}
best() { printf '%-24s %8.3f s\n' "$1" "$(sort -n "$scratch/$1" | head -n 1)e-6"; }

for _ in $(seq "${STARTS:-300}"); do
    timed true /bin/true
    timed wrapper "${wrapper[@]}" true
    if command -v tini >/dev/null; then timed tini tini -s -- true; fi
    if command -v dumb-init >/dev/null; then timed dumb-init dumb-init true; fi
done
for name in true wrapper tini dumb-init; do
    if [ -e "$scratch/$name" ]; then median "$name"; fi
done

wrapped() { "${wrapper[@]}" sh -c "exec cat '$lines' >&2"; }
null_wrapper() { wrapped 2>/dev/null; }
null_cat() { cat "$lines" | cat >/dev/null; }
file_wrapper() { wrapped 2>"$sink"; rm "$sink"; }
file_cat() { cat "$lines" | cat >"$sink"; rm "$sink"; }
pipe_wrapper() { wrapped 2>&1 >/dev/null | cat >/dev/null; }
pipe_cat() { cat "$lines" | cat | cat >/dev/null; }
for sink_kind in null file pipe; do
    for _ in $(seq "${ROUNDS:-7}"); do
        timed "to $sink_kind: cat" "${sink_kind}_cat"
        timed "to $sink_kind: wrapper" "${sink_kind}_wrapper"
    done
    best "to $sink_kind: cat"
    best "to $sink_kind: wrapper"
done
