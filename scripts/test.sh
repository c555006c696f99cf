#!/usr/bin/env bash
# Installs what the tests need, then runs every test. On Debian and its kin it installs by itself,
# as root or with sudo; elsewhere it says what to install.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

galera_installed() {
    local library
    for library in /usr/{lib,lib64,local/lib}/{,galera/,galera-4/}libgalera_smm.so \
        /opt/homebrew/lib/libgalera_smm.dylib; do
        [ -e "$library" ] && return
    done
    return 1
}

installed() {
    local program
    for program in mariadbd mariadb-install-db haproxy rsync; do
        command -v "$program" >/dev/null || return
    done
    galera_installed
}

install_servers() {
    if ! command -v apt-get >/dev/null || { [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; }; then
        echo "The tests start MariaDB servers, Galera clusters and HAProxies of their own. Please" >&2
        echo "install them, so that 'mariadbd', 'mariadb-install-db', 'haproxy' and 'rsync' can be" >&2
        echo "found, and Galera's libgalera_smm.so where packages put it, then run this again:" >&2
        echo "on Debian and Ubuntu the packages mariadb-server, galera-4 and haproxy; on Fedora" >&2
        echo "mariadb-server, mariadb-server-galera and haproxy." >&2
        exit 1
    fi
    if [ ! -e /usr/sbin/policy-rc.d ]; then
        policy=/usr/sbin/policy-rc.d
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
    fi
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends mariadb-server galera-4 haproxy
}

log=$(mktemp)
# Set while only the packages' binaries are wanted: no service of the packages' own may start.
policy=
clean_up() {
    rm -f "$log"
    [ -z "$policy" ] || as_root rm -f "$policy"
}
trap clean_up EXIT

PATH="$PATH:/usr/sbin:/usr/local/sbin"
installed || install_servers

failed=()
timed=()

# Runs a step of the tests. One that fails does not keep the others from running.
step() {
    local name=$1 start=$SECONDS
    shift
    echo "== $name"
    "$@" 2>&1 | tee -a "$log" || failed+=("$name")
    timed+=("$((SECONDS - start)) s: $name")
}

# One build for all: what both crates have behind features of their own, one TLS stack, as a refused
# certificate is told by the TLS stack, and those features of the driver's that a test needs. It builds the
# examples, too, before a test runs.
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$PWD/$target
export EVENHAND_EXAMPLES=$target/debug/examples
features=evenhand-mysql/discover,evenhand-mysql/dns,evenhand-mysql/metrics,evenhand-mysql/serde,evenhand-mysql/tracing,evenhand-http/http2,evenhand-http/grpc-health,evenhand-dns/file,evenhand-dns/metrics,evenhand-mysql/rustls-ring,evenhand-mysql/binlog,evenhand-mysql/derive,evenhand-tests/dns,evenhand-tests/metrics
step "tests" cargo test --workspace --no-fail-fast --locked --features "$features"

# The models of the balancer's concurrency, under every interleaving; a build of its own.
step "loom models" env RUSTFLAGS="--cfg evenhand_loom" CARGO_TARGET_DIR=target/loom \
    cargo test --locked --package evenhand --lib --release loom_

# The driver's own example runs as it is documented.
step "example payments" "$EVENHAND_EXAMPLES/payments"

# So do those over HTTP and Postgres, whose servers are killed and hang meanwhile. The one that has tests was built as
# a test only.
step "build of example postgres" \
    cargo build --workspace --example postgres --locked --features "$features"
for example in http_client http_gateway grpc_client postgres; do
    step "example $example" timeout 60 "$EVENHAND_EXAMPLES/$example"
done

# The balancer stands without the MySQL crate, and so does what is built on it.
step "example echo" \
    cargo run --locked --package evenhand-examples --example echo --no-default-features
needs_no_driver() {
    local tree
    tree=$(cargo tree --locked --package evenhand-examples --no-default-features --edges normal)
    if grep mysql_async <<<"$tree"; then
        echo "the echo example must not need a MySQL driver" >&2
        return 1
    fi
}
step "echo without a MySQL driver" needs_no_driver

printf '\n'
printf '%s\n' "${timed[@]}"
if [ ${#failed[@]} -gt 0 ]; then
    printf '\nFAILED: %s\n' "${failed[@]}" >&2
    # The tests by name, and the targets as cargo names them.
    grep -hE '^test .* FAILED$|^ +`-p .*`$|^error: (could not compile|test failed|doctest failed)' "$log" |
        sort -u >&2 || true
    exit 1
fi
