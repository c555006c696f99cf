#!/bin/sh
# Instructions a call, for every row and number of peers, as a Markdown table.
#
# Valgrind's callgrind counts the instructions of a whole run. Each case therefore runs twice, with
# different numbers of calls, and the difference of the two counts divided by the difference of
# the calls is free of set-up. Needs valgrind. Takes some minutes.
#
#     benches/instructions.sh [ROW..]        default: all rows
#     SIZES="2 10" benches/instructions.sh   default: 2 3 10 100 1000 10000
set -eu
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "instructions.sh: valgrind is needed" >&2; exit 2; }
cargo build --quiet --release -p evenhand-benches --bin compare
compare=${CARGO_TARGET_DIR:-target}/release/compare
sizes=${SIZES:-2 3 10 100 1000 10000}
[ $# -gt 0 ] ||
    set -- direct p2c buffer seed evenhand evenhand-clone evenhand-half evenhand-ask

# count ROW PEERS CALLS: the instructions of one whole run.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null \
        "$compare" --only "$1" --peers "$2" --calls "$3" 2>&1 |
        sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p'
}

printf '| %-14s |' ''
for size in $sizes; do printf ' %8s |' "$size"; done
printf '\n| -------------- |'
for size in $sizes; do printf ' -------: |'; done
printf '\n'
for row in "$@"; do
    printf '| %-14s |' "$row"
    for size in $sizes; do
        calls=20000
        # It looks at every peer for each call.
        [ "$row" = seed ] && [ "$size" -ge 1000 ] && calls=500
        few=$(count "$row" "$size" 1000)
        many=$(count "$row" "$size" $((1000 + calls)))
        printf ' %8s |' "$(awk "BEGIN { printf \"%.1f\", ($many - $few) / $calls }")"
    done
    printf '\n'
done
