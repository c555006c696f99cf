#!/usr/bin/env bash
# Runs the tests on real servers with each server that Debian has beside the installed one, and writes
# docs/COMPATIBILITY.md. Nothing is installed: packages are unpacked into a folder, and their servers
# run with the libraries that are there.
#
#   scripts/compat.sh                         the installed server, MariaDB of Debian 13, MySQL of unstable
#   scripts/compat.sh /opt/x/bin/mysqld ..    the installed server and these
#
# EVENHAND_COMPAT is the folder, target/compat if it is not set. It may be kept for the next run.
set -euo pipefail
cd "$(dirname "$0")/.."

# Debian's suites to take them from, by code name.
mariadb=trixie
mysql=sid

page=docs/COMPATIBILITY.md
folder=$(realpath -m "${EVENHAND_COMPAT:-target/compat}")
results=$folder/results
mkdir -p "$results"

# Debian's archive, as this machine's own sources name it, and a suite of it; all of apt's state is in
# the folder. An empty list of installed packages makes it fetch all that a package needs.
apt_of() {
    local suite=$1 own=$folder/apt-$1 mirror
    shift
    mkdir -p "$own"/{state/lists/partial,cache/archives/partial}
    : >"$own/status"
    mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' |
        grep -v security | sort -u | head -n 1)
    [ -n "$mirror" ] || { echo "apt has no source of Debian's archive" >&2; exit 1; }
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main" \
        >"$own/sources.list"
    cat >"$own/apt.conf" <<CONF
Dir::State "$own/state";
Dir::State::status "$own/status";
Dir::Cache "$own/cache";
Dir::Etc::sourcelist "$own/sources.list";
Dir::Etc::sourceparts "-";
APT::Install-Recommends "0";
APT::Sandbox::User "$(id -un)";
Acquire::Languages "none";
Debug::NoLocking "1";
CONF
    APT_CONFIG=$own/apt.conf apt-get "$@"
}

# Unpacks packages of a suite with all that they need, and another one (after the suite's name) without,
# as that asks for what runs a service.
unpack() {
    local suite=$1 alone=$2 root=$folder/$1 package
    shift 2
    [ ! -e "$root/complete" ] || return 0
    apt_of "$suite" update --quiet
    apt_of "$suite" install --quiet --yes --download-only "$@"
    (cd "$folder/apt-$suite/cache/archives" && apt_of "$suite" download --quiet "$alone")
    rm -rf "$root"
    mkdir -p "$root"
    for package in "$folder/apt-$suite"/cache/archives/*.deb; do
        dpkg-deb --extract "$package" "$root"
    done
    # Servers run as another user where this one is root.
    chmod -R a+rX "$root"
    touch "$root/complete"
}

# Puts a script in a server's place that runs it by its own loader, with its own files.
by_own_loader() {
    local usr=$1/usr program=$1/usr/sbin/$2 share=$1/usr/share/$3 loader
    [ ! -e "$program.elf" ] || return 0
    loader=$(find "$1" -path '*/lib*/ld-linux*.so.*' | head -n 1)
    mv "$program" "$program.elf"
    cat >"$program" <<RUN
#!/bin/sh
exec "$loader" --library-path "$(dirname "$(find "$1" -name 'libc.so.6' | head -n 1)"):$usr/lib/mysql/private" \\
    --argv0 "$program" "$program.elf" "\$@" --basedir="$usr" --plugin-dir="$usr/lib/mysql/plugin" \\
    --lc-messages-dir="$share" --character-sets-dir="$share/charsets"
RUN
    chmod 755 "$program"
}

# Prints the programs of the servers to run.
fetch_servers() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
        echo "This fetches servers from Debian's archive; elsewhere give it the paths of servers." >&2
        exit 1
    fi
    unpack "$mariadb" mariadb-server mariadb-server-core galera-4 >&2
    by_own_loader "$folder/$mariadb" mariadbd mariadb
    # It only reads option files, of which the tests use none.
    printf '#!/bin/sh\n' >"$folder/$mariadb/usr/bin/my_print_defaults"
    chmod 755 "$folder/$mariadb/usr/bin/my_print_defaults"
    unpack "$mysql" mysql-server mysql-server-core >&2
    by_own_loader "$folder/$mysql" mysqld mysql
    echo "$folder/$mariadb/usr/sbin/mariadbd"
    echo "$folder/$mysql/usr/sbin/mysqld"
}

# `MariaDB 11.8.9`, `MySQL 9.7.4`
name_of() {
    local version number
    version=$(version_of "$1")
    number=$(sed -E 's/.*Ver ([0-9]+(\.[0-9]+)+).*/\1/' <<<"$version")
    if [[ $version == *MariaDB* ]]; then echo "MariaDB $number"; else echo "MySQL $number"; fi
}

# What a server says of itself, but for its path.
version_of() {
    "$1" --no-defaults --version | sed -E 's/.*(Ver )/\1/'
}

# The tests to run: the packages' test targets, and where their sources are. Some tests need these features.
declare -A sources=([mysql]=crates/evenhand-mysql/tests/mysql [servers]=tests/servers)
features=evenhand-mysql/rustls-ring,evenhand-mysql/binlog,evenhand-mysql/derive
declare -A programs=()

# Builds them once for all servers, and the example that one of them runs.
build() {
    local folder=${CARGO_TARGET_DIR:-target} built program target
    export EVENHAND_EXAMPLES
    EVENHAND_EXAMPLES=$(realpath -m "$folder/debug/examples")
    cargo build --locked --features "$features" --package evenhand-mysql --package evenhand-examples \
        --example check
    built=$(cargo test --locked --features "$features" --package evenhand-mysql --package evenhand-tests \
        --test mysql --test servers --no-run --message-format json-render-diagnostics)
    for program in $(sed -nE 's/.*"kind":\["test"\].*"executable":"([^"]+)".*/\1/p' <<<"$built"); do
        target=$(basename "$program")
        target=${target%-*}
        # A copy, as another build may replace it meanwhile.
        cp "$program" "$folder/$target"
        programs[$target]=$folder/$target
    done
}

# Runs the tests with a server; prints a line for each test that started it, or would have: its target,
# its name, and `yes`, `yes, alone`, `no` or why it is not for this server.
run() {
    local server=$1 log=$2 target program name
    # The installed one is what the tests start by themselves.
    if [ "$server" = "$installed" ]; then unset EVENHAND_MYSQLD; else export EVENHAND_MYSQLD=$server; fi
    : >"$log"
    for target in "${!sources[@]}"; do
        program=${programs[$target]}
        echo "#target $target" >>"$log"
        "$program" --show-output --test-threads=2 >"$log.part" 2>&1 || true
        grep -q '^test result' "$log.part" || { tail -n 50 "$log.part" >&2; exit 1; }
        cat "$log.part" >>"$log"
        # What fails runs once more by itself: a machine may be too busy for what is timed.
        echo "#alone" >>"$log"
        for name in $(sed -nE 's/^test (.*) \.\.\. FAILED$/\1/p' "$log.part"); do
            "$program" --show-output --exact "$name" >>"$log" 2>&1 || true
        done
        rm "$log.part"
    done
    awk -v server="$server" '
        /^#target / { target = $2; alone = 0 }
        /^#alone$/ { alone = 1 }
        /^test .* \.\.\. (ok|FAILED)$/ {
            outcome[target "\t" $2] = $NF == "ok" ? (alone ? "yes, alone" : "yes") : "no"
        }
        /^---- .* stdout ----$/ { test = target "\t" $2 }
        /^on (MariaDb|MySql): / { sub(/^on [A-Za-z]+: /, ""); if ($0 == server) ran[test] = 1 }
        /^only on / { sub(/^only on /, ""); only[test] = $0 }
        END {
            for (test in outcome) {
                if (test in only) print test "\t" only[test]
                else if (test in ran) print test "\t" outcome[test]
            }
        }' "$log" | sort | grep .
}

if [ $# -gt 0 ]; then servers=("$@"); else mapfile -t servers < <(fetch_servers); fi
PATH="$PATH:/usr/sbin:/usr/local/sbin"
installed=$(command -v mariadbd || command -v mysqld || true)
[ -z "$installed" ] || servers=("$installed" "${servers[@]}")
build

day=$(date -u +%F)
names=()
own_words=
for server in "${servers[@]}"; do
    name=$(name_of "$server")
    names+=("$name")
    own_words+="| $name | $(version_of "$server") |"$'\n'
    echo "== $name, $(date +%T)" >&2
    (run "$server" "$results/${name// /-}.log") >"$results/$name"
done

{
    cat <<HEAD
# Servers that the tests run on

\`scripts/compat.sh\` wrote this page on $day, on $(. /etc/os-release && echo "$PRETTY_NAME"), $(uname -m),
with $(rustc --version).
It fetches the servers that are not installed, builds the tests once, and runs them with each server. Run it again to
renew the page. It is not part of what runs before each change.

A cell is a test:

- *yes*: it passed on that server.
- *yes, alone*: it failed beside other tests, and passed when it ran once more by itself.
- *no*: it failed both times.
- –: it is about what that server does not have. The line below the table says what that is.

Tests that use no real server are left out. The title of a table leads to the tests.

| server | what it says of itself |
| --- | --- |
${own_words%$'\n'}

HEAD
    for name in "${names[@]}"; do printf '%s\0' "$results/$name"; done |
        xargs -0 awk -F '\t' -v mysql="${sources[mysql]}" -v servers_="${sources[servers]}" '
            FNR == 1 { servers++; server[servers] = FILENAME; sub(/.*\//, "", server[servers]) }
            {
                test = $1 "/" $2
                if (!(test in known)) { known[test] = 1; order[++tests] = test }
                cell[test, servers] = $3
            }
            function row(first, text, at, line) {
                line = "| " first
                for (at = 1; at <= servers; at++) line = line " | " text[at]
                print line " |"
            }
            function area_of(test) { sub(/::[^:]*$/, "", test); return test }
            function is_outcome(got) { return got == "no" || got ~ /^yes/ }
            # A link to where its tests are.
            function title(area, shown, file, line) {
                shown = area
                sub(/^[a-z]*\//, "", shown)
                file = (area ~ /^mysql/ ? mysql : servers_) "/" shown
                gsub(/::/, "/", file)
                file = file ((getline line < (file ".rs")) > 0 ? ".rs" : "/mod.rs")
                return "[`" shown "`](../" file ")"
            }
            END {
                for (i = 1; i <= tests; i++) {
                    at = area_of(order[i])
                    if (!(at in seen)) { seen[at] = 1; areas[++count] = at }
                    for (s = 1; s <= servers; s++) {
                        got = cell[order[i], s]
                        if (got ~ /^yes/) passed[at, s]++
                        if (is_outcome(got)) of[at, s]++
                    }
                }
                for (s = 1; s <= servers; s++) rule[s] = "---"
                print "## In short\n"
                row("tests passed", server); row("---", rule)
                for (a = 1; a <= count; a++) {
                    for (s = 1; s <= servers; s++)
                        text[s] = of[areas[a], s] ? (passed[areas[a], s] + 0) " of " of[areas[a], s] : "–"
                    row(title(areas[a]), text)
                }
                for (a = 1; a <= count; a++) {
                    print "\n## " title(areas[a]) "\n"
                    row("what holds", server); row("---", rule)
                    notes = ""
                    for (i = 1; i <= tests; i++) {
                        if (area_of(order[i]) != areas[a]) continue
                        name = order[i]; sub(/.*::/, "", name)
                        for (s = 1; s <= servers; s++) {
                            got = cell[order[i], s]
                            text[s] = is_outcome(got) ? got : "–"
                            if (got && text[s] == "–" && !((name, got) in noted)) {
                                noted[name, got] = 1
                                sub(/^MariaDb/, "MariaDB", got)
                                sub(/^MySql/, "MySQL", got)
                                notes = notes "\n- `" name "`: only on " got
                            }
                        }
                        row("`" name "`", text)
                    }
                    if (notes) print notes
                }
            }'
} >"$page"
echo "wrote $page" >&2
for name in "${names[@]}"; do
    ! grep -P '\tno$' "$results/$name" >&2 || failed=yes
done
[ -z "${failed:-}" ] || exit 1
