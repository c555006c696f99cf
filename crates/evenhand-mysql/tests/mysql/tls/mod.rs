//! TLS that is refused or breaks off, with whichever TLS stack the tests are built with:
//! `cargo test -p evenhand-mysql --features rustls-ring tls::`, or `native-tls`.
//!
//! `cert.pem` is a certificate for `db.example` that signed itself, good for a hundred years;
//! `key.pem` belongs to it and guards nothing.

use std::error::Error;
use std::fs::{self, Permissions};
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::setup::still;
use crate::common::{LIMIT, up};
use evenhand_mysql::evenhand::EventKind;
use evenhand_mysql::evenhand_config::Sources;
use evenhand_mysql::mysql_async::{Opts, OptsBuilder, SslOpts};
use evenhand_mysql::{AllDownKind, PoolOptions, Resolver};
use evenhand_testkit::{Maker, MariaDb};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/mysql/tls")
        .join(name)
}

/// Two servers with these settings.
async fn servers(args: Vec<String>) -> Vec<MariaDb> {
    let start = move || {
        let builder = args
            .into_iter()
            .fold(MariaDb::builder(), |b, arg| b.arg(arg));
        builder.start_many(2)
    };
    let started = tokio::task::spawn_blocking(start).await.unwrap();
    started.unwrap_or_else(|error| panic!("{error}"))
}

/// Why the first of the peers was ejected when a connection was asked for, or the error.
async fn refusal<'u>(urls: impl IntoIterator<Item = &'u str>, tls: SslOpts) -> String {
    let peers = urls.into_iter().zip(["a", "b"]).map(|(url, name)| {
        let opts = OptsBuilder::from_opts(Opts::from_url(url).unwrap());
        (name, opts.ssl_opts(tls.clone()))
    });
    // A handshake takes its time on a busy machine.
    let pool = still()
        .connect_timeout(100 * LIMIT)
        .checkout_timeout(100 * LIMIT)
        .all_down(AllDownKind::Fail)
        .open(peers)
        .unwrap();
    let mut events = pool.subscribe();
    let Err(error) = pool.get_conn().await else {
        return "none".to_owned();
    };
    match events.try_next().unwrap().map(|event| event.kind) {
        Some(EventKind::Ejected { reason, .. }) => reason.unwrap().to_owned(),
        _ => {
            assert_eq!(up(&pool), pool.statuses().len());
            let mut chain = vec![error.to_string()];
            let mut source = error.source();
            while let Some(error) = source {
                chain.push(error.to_string());
                source = error.source();
            }
            chain.join(": ")
        }
    }
}

fn trusting(file: PathBuf) -> SslOpts {
    SslOpts::default().with_root_certs(vec![file.into()])
}

/// Two servers with the certificate of `db.example`, and the folder that they have it from.
async fn for_db_example() -> (tempfile::TempDir, Vec<MariaDb>) {
    let folder = tempfile::tempdir().unwrap();
    // The server may be another user.
    fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
    let arg = |option: &str, name: &str| {
        let copy = folder.path().join(name);
        fs::copy(file(name), &copy).unwrap();
        fs::set_permissions(&copy, Permissions::from_mode(0o644)).unwrap();
        format!("--{option}={}", copy.display())
    };
    let args = vec![arg("ssl-cert", "cert.pem"), arg("ssl-key", "key.pem")];
    (folder, servers(args).await)
}

/// Rows: tls-certificate (MariaDB)
#[tokio::test]
async fn refused_certificate_tries_one_other_peer() {
    let (_folder, servers) = for_db_example().await;
    let urls: Vec<String> = servers.iter().map(MariaDb::url).collect();
    let urls = || urls.iter().map(String::as_str);

    let known = trusting(file("cert.pem"));
    let named = known
        .clone()
        .with_danger_tls_hostname_override(Some("db.example"));
    assert_eq!(refusal(urls(), named).await, "none");
    for (what, tls) in [("unknown", SslOpts::default()), ("another name", known)] {
        let refusal = refusal(urls(), tls).await;
        assert!(refusal.contains("ertificate"), "{what}: {refusal}");
        let both = refusal.contains("a: ") && refusal.contains("b: ");
        assert!(both, "{what}: {refusal}");
    }
}

#[tokio::test]
async fn name_is_verified_at_an_address_that_was_looked_up() {
    let (_folder, servers) = for_db_example().await;
    let resolver = Resolver::new(|_| async { Ok(vec![IpAddr::from([127, 0, 0, 1])]) });
    for (host, is_its_name) in [("db.example", true), ("other.example", false)] {
        let url = servers[0].url().replace("127.0.0.1", host);
        let opts = OptsBuilder::from_opts(Opts::from_url(&url).unwrap());
        let opts = opts.ssl_opts(trusting(file("cert.pem")));
        let pool = still()
            .connect_timeout(100 * LIMIT)
            .all_down(AllDownKind::Fail)
            .resolver(resolver.clone())
            .open([("a", opts)])
            .unwrap();
        assert_eq!(pool.get_conn().await.is_ok(), is_its_name, "{host}");
        let report = pool.check(Duration::from_secs(30)).await;
        assert_eq!(report[0].is_online(), is_its_name, "{host}");
    }
}

#[cfg(feature = "dns")]
#[tokio::test]
async fn name_that_stands_for_addresses_is_verified_at_each() {
    use evenhand_mysql::evenhand_dns::{Dns, Name};

    let (_folder, servers) = for_db_example().await;
    let dns = evenhand_testkit::DnsServer::start().await.unwrap();
    for (host, is_its_name) in [("db.example", true), ("other.example", false)] {
        dns.set(host, &["127.0.0.1"], 60);
        let opts = OptsBuilder::default().user(Some("root"));
        let opts = opts.ssl_opts(trusting(file("cert.pem")));
        let pool = still()
            .connect_timeout(100 * LIMIT)
            .dns(Dns::name_server(dns.addr()).unwrap())
            .open_names([(Name::host(host, servers[0].port()).unwrap(), opts)])
            .unwrap();
        let report = pool.check(Duration::from_secs(30)).await;
        assert_eq!(report.len(), 1);
        assert_eq!(report[0].is_online(), is_its_name, "{host}");
    }
}

/// Rows: tls-missing (MariaDB)
#[tokio::test]
async fn missing_tls_tries_one_other_peer() {
    let off = match Maker::in_use() {
        Ok(Maker::MySql) => "--tls-version=",
        _ => "--skip-ssl",
    };
    let servers = servers(vec![off.to_owned()]).await;
    let urls: Vec<String> = servers.iter().map(MariaDb::url).collect();
    let refusal = refusal(urls.iter().map(String::as_str), SslOpts::default()).await;
    assert!(
        refusal.contains("does not have this capability"),
        "{refusal}"
    );
    assert!(
        refusal.contains("a: ") && refusal.contains("b: "),
        "{refusal}"
    );
}

/// Rows: tls-broken, own-settings, connect-lost (a bare listener)
#[tokio::test]
async fn broken_tls_ejects_but_unusable_files_do_not() {
    let broke_off = "TLS handshake failed";
    // An alert, of the fatal kind: handshake failure.
    let alert = &[0x15, 3, 3, 0, 2, 2, 40];
    for bytes in [&b""[..], alert] {
        let url = listener(bytes).await;
        assert_eq!(refusal([&*url], SslOpts::default()).await, broke_off);
    }
    let url = listener(b"").await;
    let refusal_with = async |name| refusal([&*url], trusting(file(name))).await;
    // A file that is no certificate. OpenSSL takes what has none in it for an empty list.
    if cfg!(not(feature = "native-tls")) {
        let refusal = refusal_with("mod.rs").await;
        assert!(refusal.contains("certificate"), "{refusal}");
    }
    assert_eq!(refusal_with("nothing").await, "connection failed");
}

/// Greets as a server that has TLS, and answers the TLS hello with these bytes and the end.
async fn listener(bytes: &'static [u8]) -> String {
    const GREETING: &[u8] = b"\x0a5.7.1\0\x01\0\0\0saltsalt\0\xff\xff\x08\x02\0\x0f\x80\x15\
        \0\0\0\0\0\0\0\0\0\0saltsaltsalt\0mysql_native_password\0";
    /// The length of the packet that asks for TLS.
    const ASKS: usize = 36;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let header = [GREETING.len() as u8, 0, 0, 0];
            let greeting = [&header, GREETING].concat();
            let mut heard = vec![0; ASKS + 1];
            // A client that goes away has its reasons.
            let _ = stream.write_all(&greeting).await;
            if stream.read_exact(&mut heard).await.is_ok() {
                let _ = stream.write_all(bytes).await;
                let _ = stream.shutdown().await;
                let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
            }
        }
    });
    format!("mysql://root@{addr}/test")
}

/// What a config file says of TLS, and what a check of the peers says of it then.
#[tokio::test]
async fn config_file_sets_up_tls() {
    let (_folder, servers) = for_db_example().await;
    let sources = Sources::none().files_in(Path::new(&file("")));
    let mut checked = Vec::new();
    for tls in [
        "tls_ca = 'cert.pem'\ntls_host_name = 'db.example'",
        "tls_ca = 'cert.pem'",
        "tls = true",
        "tls = false",
    ] {
        let text = format!(
            "[databases.db0]\nhost = '127.0.0.1'\nport = {}\nuser = 'root'\n{tls}\n\
             [databases.d]\npeers = ['db0']",
            servers[0].port()
        );
        let config = sources.parse(&text, "evenhand.toml");
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let pool = PoolOptions::new()
            .open_config(config.balanced("d").unwrap())
            .unwrap();
        let report = pool.check(Duration::from_secs(10)).await.remove(0);
        let encrypted = report
            .facts
            .as_ref()
            .is_some_and(|facts| facts.tls.is_some());
        checked.push((report.is_online(), encrypted));
    }
    let expected = [(true, true), (false, false), (false, false), (true, false)];
    assert_eq!(checked, expected);
}
