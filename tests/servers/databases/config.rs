//! Config files on real servers: Django's own dictionaries and the same in TOML, and a password that
//! is changed while the service runs.

use std::time::Duration;

use evenhand_mysql::Databases;
use evenhand_mysql::evenhand_config::Sources;
use evenhand_mysql::mysql_async::{Conn, prelude::Queryable};
use evenhand_testkit::MariaDb;
use evenhand_tests::servers;

const LIMIT: Duration = Duration::from_secs(5);

/// The files as they are, and their peers in the order of the servers.
const FILES: [(&str, &str, &[&str]); 5] = [
    (
        "seed_proxysql.json",
        include_str!("../../../crates/evenhand-config/tests/good/seed_proxysql.json"),
        &["peer0", "peer1"],
    ),
    (
        "seed_proxysql.toml",
        include_str!("../../../crates/evenhand-config/tests/good/seed_proxysql.toml"),
        &["peer0", "peer1"],
    ),
    (
        "seed_galera.toml",
        include_str!("../../../crates/evenhand-config/tests/good/seed_galera.toml"),
        &["galera0", "galera1"],
    ),
    (
        "seed_two.json",
        include_str!("../../../crates/evenhand-config/tests/good/seed_two.json"),
        &["peer0", "peer1", "peer2", "peer3"],
    ),
    (
        "seed_two.toml",
        include_str!("../../../crates/evenhand-config/tests/good/seed_two.toml"),
        &["peer0", "peer1", "peer2", "peer3"],
    ),
];

async fn add_user(server: &MariaDb) {
    let mut operator = Conn::from_url(server.url()).await.unwrap();
    for statement in [
        "CREATE DATABASE db_name",
        "CREATE USER user@'127.0.0.1' IDENTIFIED BY 'password'",
        "GRANT ALL ON db_name.* TO user@'127.0.0.1'",
    ] {
        operator.query_drop(statement).await.unwrap();
    }
    operator.disconnect().await.unwrap();
}

/// Only where the peers are is another matter here, and that the environment says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn django_style_files_run_on_servers() {
    let servers = servers(4).await;
    for server in &servers {
        add_user(server).await;
    }
    for (file, text, peers) in FILES {
        let places = peers.iter().zip(&servers).flat_map(|(peer, server)| {
            let key = |key| format!("EVENHAND__DATABASES__{}__{key}", peer.to_uppercase());
            [
                (key("HOST"), "127.0.0.1".to_owned()),
                (key("PORT"), server.port().to_string()),
            ]
        });
        let sources = Sources::none().variables(places);
        let config = match file.ends_with(".json") {
            true => sources.parse_json(text, file),
            false => sources.parse(text, file),
        };
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let databases = Databases::open(&config).unwrap();
        let report = databases.check(LIMIT).await;
        assert!(report.all_online(), "{file}:\n{report}");
        assert_eq!(report.peers().count(), peers.len(), "{file}");
        for (alias, pool) in databases.iter() {
            let mut conn = pool.get_conn().await.unwrap();
            let name: Option<String> = conn.query_first("SELECT DATABASE()").await.unwrap();
            assert_eq!(name.as_deref(), Some("db_name"), "{file}: {alias}");
        }
        databases.close().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_password_is_read_by_a_reload() {
    let servers = servers(1).await;
    add_user(&servers[0]).await;
    let folder = tempfile::tempdir().unwrap();
    let (file, password) = (
        folder.path().join("evenhand.toml"),
        folder.path().join("password"),
    );
    let text = format!(
        "[databases.db0]\nhost = '127.0.0.1'\nport = {}\nuser = 'user'\nname = 'db_name'\n\
         password_file = 'password'\n[databases.default]\npeers = ['db0']\npool_min = 0",
        servers[0].port()
    );
    std::fs::write(&file, text).unwrap();
    std::fs::write(&password, "password\n").unwrap();
    let sources = Sources::none();
    let load = || {
        sources
            .load(&file)
            .unwrap_or_else(|error| panic!("{error}"))
    };
    let databases = Databases::open(&load()).unwrap();
    let mut held = databases.get("default").unwrap().get_conn().await.unwrap();

    let mut operator = Conn::from_url(servers[0].url()).await.unwrap();
    let change = "ALTER USER user@'127.0.0.1' IDENTIFIED BY 'another'";
    operator.query_drop(change).await.unwrap();
    assert!(!databases.check(LIMIT).await.all_online());
    std::fs::write(&password, "another\n").unwrap();
    databases.reload(&load()).unwrap();
    let report = databases.check(LIMIT).await;
    assert!(report.all_online(), "{report}");
    databases
        .get("default")
        .unwrap()
        .get_conn()
        .await
        .unwrap()
        .ping()
        .await
        .unwrap();
    // The one that was there goes on.
    held.ping().await.unwrap();
    assert!(!format!("{databases:?} {report:?}").contains("another"));
}
