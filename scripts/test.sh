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
    # Only the binaries are wanted: no service of the packages' own may start.
    local policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
        as_root chmod 755 "$policy"
        trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
    fi
    as_root apt-get update
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends mariadb-server galera-4 haproxy
}

PATH="$PATH:/usr/sbin:/usr/local/sbin"
installed || install_servers

cargo test --workspace --locked
# A refused certificate is told by the TLS stack, so that test needs one.
cargo test --package evenhand-mysql --features rustls-ring --test mysql --locked tls::
# What the balancer has behind features, too.
cargo test --package evenhand --all-features --locked

# The models of the balancer's concurrency, under every interleaving; a build of its own.
RUSTFLAGS="--cfg evenhand_loom" CARGO_TARGET_DIR=target/loom \
    cargo test --locked --package evenhand --lib --release loom_

# The driver's own example runs as it is documented.
cargo run --locked --package evenhand-examples --example payments

# The balancer stands without the MySQL crate, and so does what is built on it.
cargo run --locked --package evenhand-examples --example echo --no-default-features
if cargo tree --locked --package evenhand-examples --no-default-features --edges normal |
    grep mysql_async; then
    echo "the echo example must not need a MySQL driver" >&2
    exit 1
fi
