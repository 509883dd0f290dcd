#!/bin/sh
# Instructions per event, counted by callgrind: the steady figure beside the times of `cargo bench`.
#
#   benches/instructions.sh            the contenders of this package
#   benches/instructions.sh rivals     with rivals
#   benches/instructions.sh own lastwords    one contender
#
# Each contender records N and 2N events; what the second run has more, divided by N, is one event.
# Only the recording thread counts, from the first event to the last.
# Instructions are those of the process: valgrind makes the clock a system call, whose work in the
# kernel (the vDSO's, about 40 instructions in a normal run) is not counted, for no contender.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
events=${EVENTS:-5000}
which=${1:-own}
only=${2:-}
case $which in
own) manifest=$here/../Cargo.toml bench=events ;;
rivals) manifest=$here/rivals/Cargo.toml bench=rivals ;;
*) echo "usage: $0 [own|rivals [CONTENDER]]" >&2; exit 2 ;;
esac

program=$(cargo bench --quiet --manifest-path "$manifest" --bench "$bench" --no-run \
    --message-format=json | sed -n 's/.*"executable":"\([^"]*\/'"$bench"'-[^"]*\)".*/\1/p' | tail -n 1)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export LASTWORDS_STATE_DIR="$scratch/state"

# Prints all instructions of one run: contender, setup, scene, events.
count() {
    valgrind --tool=callgrind --toggle-collect='*harness::counted*' --callgrind-out-file=/dev/null "$program" \
        --child "$1" "$2" "$3" count "$4" 2>&1 >"$scratch/out" |
        sed -n 's/.*Collected : \([0-9]*\).*/\1/p'
}

printf '%-16s' "instructions"
for scene in "outside" "span" "3 spans" "enter+event" "new span+event"; do
    printf '%16s' "$scene"
done
printf '%16s%16s\n' "Targets, span" "2 layers, span"

"$program" --names | while read -r contender; do
    [ -z "$only" ] || [ "$only" = "$contender" ] || continue
    printf '%-16s' "$contender"
    for at in "plain/outside" "plain/span" "plain/3 spans" "plain/enter+event" \
        "plain/new span+event" "Targets/span" "2 layers/span"; do
        setup=${at%%/*} scene=${at#*/}
        once=$(count "$contender" "$setup" "$scene" "$events")
        twice=$(count "$contender" "$setup" "$scene" $((2 * events)))
        printf '%16d' $(((twice - once) / events))
    done
    printf '\n'
done
