#!/bin/sh
# Instructions of one small GET, for evenhand-http and hyper-util's client alone, as a Markdown table.
# Callgrind counts between entering and leaving the measured loop, on the one thread that the client
# and its tasks run on; the servers have threads of their own. Needs valgrind.
#
#     benches/instructions-http.sh [ROW..]   default: all rows
set -eu
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "instructions-http.sh: valgrind is needed" >&2; exit 2; }
cargo build --quiet --release -p evenhand-benches --bin compare
compare=${CARGO_TARGET_DIR:-target}/release/compare
calls=9000
[ $# -gt 0 ] || set -- hyper-util evenhand-http

printf '| %-13s | %12s |\n' '' instructions
printf '| %-13s | %12s |\n' ------------- -----------:
for row in "$@"; do
    all=$(valgrind --tool=callgrind --callgrind-out-file="${OUT:-/dev/null}" \
        --toggle-collect='*http::get::measured*' \
        "$compare" --http-only "$row" --calls "$calls" 2>&1 |
        sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p')
    printf '| %-13s | %12s |\n' "$row" "$(awk "BEGIN { printf \"%.0f\", $all / $calls }")"
done
