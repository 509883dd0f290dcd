#!/usr/bin/env bash
# Makes cases of the toolchains that are installed here: builds the programs beside this script, lets
# them die, and keeps what they printed and how they ended, annotated from programs/cases.tsv.
#
#   tests/corpus/make.sh FOLDER [GO...]
#   LASTWORDS_MADE_CORPUS=FOLDER cargo test --test corpus
#
# GO are go commands, `go` unless given. Toolchains that are not there are skipped, and said so.
set -euo pipefail

out=${1:?where to put the cases}
shift
here=$(cd "$(dirname "$0")" && pwd)
[ $# -gt 0 ] || set -- go
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export GOFLAGS=-mod=mod GOTOOLCHAIN=local GOCACHE=${GOCACHE:-$work/cache}

# run CASE PROGRAM ARGUMENT ENVIRONMENT: stderr to a file, the exit as JSON on stdout.
run() {
    local dir=$out/$1 program=$2 argument=$3 environment=$4 code=0
    mkdir -p "$dir"
    # Under a limit, so that what eats memory ends soon; without core files.
    # shellcheck disable=SC2086
    (
        ulimit -c 0
        ulimit -v 4000000
        exec env $environment timeout 20 "$program" "$argument" 2>"$dir/stderr" >/dev/null
    ) 2>/dev/null || code=$?
    if [ "$code" -gt 128 ]; then
        printf '"exit_code": null, "signal": "SIG%s"' "$(kill -l $((code - 128)))"
    else
        printf '"exit_code": %s, "signal": null' "$code"
    fi
}

# cases LANGUAGE VERSION NAME: NAME is the program's and its folder's.
cases() {
    local language=$1 version=$2 name=$3 line case program argument environment type value function
    while IFS= read -r line; do
        # A tab is white space to `read`, which joins empty fields.
        IFS='|' read -r case program argument environment type value function <<<"${line//$'\t'/|}"
        [ "$program" = "$name" ] || continue
        local full=$version-$case
        local ending
        ending=$(run "$full" "$work/$name" "$argument" "$environment")
        local crash=false expect='' more=''
        if [ -n "$type" ]; then
            crash=true
            # What changed from release to release.
            [ "$type" != '*' ] || more=', "type", "value"'
            expect="{\"type\": \"$type\", \"value\": $value, \"top_frame\": {\"function\": \"$function\"},
    \"open\": [\"thread\", \"frames\", \"mechanism\"$more]}"
        fi
        cat >"$out/$full/case.json" <<JSON
{"language": "$language", "runtime_version": "$version", $ending, "is_crash": $crash,
  "expect": [$expect], "notes": "made by make.sh"}
JSON
    done <"$here/programs/cases.tsv"
}

for go in "$@"; do
    if ! command -v "$go" >/dev/null; then
        echo "skipped: there is no $go"
        continue
    fi
    version=$("$go" version | cut -d' ' -f3)
    for name in go cgo; do
        if (cd "$here/programs/$name" && CGO_ENABLED=1 "$go" build -o "$work/$name" . 2>"$work/log"); then
            cases go "$version" "$name"
        else
            echo "skipped: $version does not build $name: $(tail -n 1 "$work/log")"
        fi
    done
done
if command -v rustc >/dev/null; then
    version=rust$(rustc --version | cut -d' ' -f2)
    rustc --edition 2021 -g -o "$work/rust" "$here/programs/rust/main.rs"
    cases rust "$version" rust
else
    echo "skipped: there is no rustc"
fi
echo "$(find "$out" -name case.json | wc -l) cases in $out"
