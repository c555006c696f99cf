#!/bin/sh
# Instructions of one checkout and return, for the MySQL pool and the driver's own, as a Markdown
# table. Callgrind counts between entering and leaving the measured loop, on the one thread that the
# pool and its tasks run on; the server is a separate process. Needs valgrind and MariaDB.
#
#     benches/instructions-mysql.sh [ROW..]   default: all rows
set -eu
cd "$(dirname "$0")/.."

command -v valgrind >/dev/null || { echo "instructions-mysql.sh: valgrind is needed" >&2; exit 2; }
cargo build --quiet --release -p evenhand-benches --bin compare
compare=${CARGO_TARGET_DIR:-target}/release/compare
calls=5000
[ $# -gt 0 ] ||
    set -- mysql_async evenhand evenhand-3-peers mysql_async-reset evenhand-reset

printf '| %-17s | %12s |\n' '' instructions
printf '| %-17s | %12s |\n' ----------------- -----------:
for row in "$@"; do
    all=$(valgrind --tool=callgrind --callgrind-out-file="${OUT:-/dev/null}" \
        --toggle-collect='*mysql::checkout::measured*' \
        "$compare" --mysql-only "$row" --calls "$calls" 2>&1 |
        sed -n 's/.*Collected *: *\([0-9]*\).*/\1/p')
    printf '| %-17s | %12s |\n' "$row" "$(awk "BEGIN { printf \"%.0f\", $all / $calls }")"
done
