//! What the driver's tests ask of logins and sessions.

use std::error::Error as _;

use evenhand_mysql::mysql_async::prelude::{Query, Queryable};
use evenhand_mysql::mysql_async::{self, ChangeUserOpts, Error, IoError, Opts};
use evenhand_mysql::{Error as PoolError, PeerConn};
use evenhand_testkit::Maker;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use super::{opts_of, pool_with, stage, stage_on};
use crate::common::quick;

#[tokio::test]
async fn rows_found_or_changed_are_counted_as_the_options_say() {
    for (parameters, counted) in [("client_found_rows=true", 1), ("", 0)] {
        let (_server, pool) = stage(parameters).await;
        let mut conn = pool.get_conn().await.unwrap();
        "CREATE TEMPORARY TABLE t (id SERIAL, number INT)"
            .ignore(&mut conn)
            .await
            .unwrap();
        "INSERT INTO t (number) VALUES (1)"
            .ignore(&mut conn)
            .await
            .unwrap();
        assert_eq!(conn.affected_rows(), 1);
        "UPDATE t SET number = 1".ignore(&mut conn).await.unwrap();
        assert_eq!(conn.affected_rows(), counted);
    }
}

#[tokio::test]
async fn no_schema_is_needed() {
    let (server, _pool) = stage("").await;
    for name in [None, Some("")] {
        let pool = pool_with(opts_of(&server).db_name(name));
        let mut conn = pool.get_conn().await.unwrap();
        conn.ping().await.unwrap();
        conn.disconnect().await.unwrap();
    }
}

/// Makes the user `app` anew, who logs in by this plugin.
async fn make_app(operator: &mut PeerConn, maker: Maker, plugin: &str, password: &str) {
    let by = match maker {
        Maker::MariaDb => format!("VIA {plugin} USING PASSWORD('{password}')"),
        Maker::MySql => format!("WITH {plugin} BY '{password}'"),
    };
    for statement in [
        "DROP USER IF EXISTS app@'%'",
        &format!("CREATE USER app@'%' IDENTIFIED {by}"),
    ] {
        operator.query_drop(statement).await.unwrap();
    }
}

#[tokio::test]
async fn users_of_every_plugin_log_in_with_and_without_a_password() {
    let (server, pool) = stage("").await;
    let mut operator = pool.get_conn().await.unwrap();
    let plugins: Vec<String> = operator
        .query_map("SHOW PLUGINS", |mut row: mysql_async::Row| {
            row.take("Name").unwrap()
        })
        .await
        .unwrap();
    let known = [
        "mysql_native_password",
        "caching_sha2_password",
        "ed25519",
        "parsec",
    ];
    let known = |plugin: &String| known.contains(&&**plugin);
    let plugins: Vec<String> = plugins.into_iter().filter(known).collect();
    assert!(!plugins.is_empty());
    for plugin in plugins {
        for password in ["secret", ""] {
            make_app(&mut operator, server.maker(), &plugin, password).await;
            let app = opts_of(&server).user(Some("app")).pass(Some(password));
            let pool = pool_with(app.db_name(None::<String>));
            let conn = pool.get_conn().await;
            let conn = conn.unwrap_or_else(|error| panic!("{plugin} {password}: {error}"));
            conn.disconnect().await.unwrap();
        }
    }
}

#[test]
fn connection_may_be_dropped_outside_of_a_runtime() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (server, pool) = runtime.block_on(stage(""));
    let conn = runtime.block_on(pool.get_conn()).unwrap();
    drop(conn);
    drop((pool, server));
}

async fn session(conn: &mut PeerConn) -> (Option<u8>, Option<String>) {
    conn.query_first("SELECT @a, @b").await.unwrap().unwrap()
}

#[tokio::test]
async fn statements_and_hooks_of_the_options_prepare_each_session() {
    let (server, _pool) = stage("").await;
    let statements = || vec!["SET @a = 42", "SET @b = 'x'"];
    let expected = (Some(42), Some("x".to_owned()));
    let once = pool_with(opts_of(&server).init(statements()));
    assert_eq!(session(&mut once.get_conn().await.unwrap()).await, expected);
    let hook = pool_with(opts_of(&server).after_connect(|conn| {
        Box::pin(async {
            conn.query_drop("SET @a = 42").await?;
            conn.query_drop("SET @b = 'x'").await
        })
    }));
    assert_eq!(session(&mut hook.get_conn().await.unwrap()).await, expected);

    let always = pool_with(opts_of(&server).setup(statements()));
    let mut conn = always.get_conn().await.unwrap();
    assert_eq!(session(&mut conn).await, expected);
    assert!(conn.reset().await.unwrap());
    assert_eq!(session(&mut conn).await, expected);
    conn.change_user(ChangeUserOpts::default()).await.unwrap();
    assert_eq!(session(&mut conn).await, expected);
}

/// Deviation: the driver returns the hook's error as it is.
#[tokio::test]
async fn error_of_a_hook_is_carried() {
    let (server, _pool) = stage("").await;
    let refuse = opts_of(&server)
        .after_connect(|_| Box::pin(async { Err(Error::Other("rejected".into())) }));
    let error = pool_with(refuse).get_conn().await.unwrap_err();
    let Error::Io(IoError::Io(_)) = &error else {
        unreachable!("{error:?}")
    };
    let ours = PoolError::find(&error).unwrap();
    let source = ours.source().unwrap();
    assert!(source.to_string().contains("rejected"), "{source}");
}

#[tokio::test]
async fn session_and_user_change_on_request() {
    let (arguments, plugins): (&[&str], &[&str]) = match Maker::in_use().unwrap() {
        Maker::MariaDb => (
            &["--secure-auth=0"],
            &["mysql_old_password", "mysql_native_password"],
        ),
        Maker::MySql => (&[], &["caching_sha2_password"]),
    };
    let (server, pool) = stage_on(arguments, "").await;
    let mut conn = pool.get_conn().await.unwrap();
    let clean = (None, None);
    assert_eq!(session(&mut conn).await, clean);
    for by_user in [false, true] {
        conn.query_drop("SET @a = 1").await.unwrap();
        assert_eq!(session(&mut conn).await.0, Some(1));
        match by_user {
            false => assert!(conn.reset().await.unwrap()),
            true => conn.change_user(ChangeUserOpts::default()).await.unwrap(),
        }
        assert_eq!(session(&mut conn).await, clean);
    }

    for plugin in plugins {
        if server.maker() == Maker::MariaDb {
            let old = u8::from(*plugin == "mysql_old_password");
            let set = format!("SET old_passwords = {old}");
            conn.query_drop(set).await.unwrap();
        }
        make_app(&mut conn, server.maker(), plugin, "secret").await;
        let pool = pool_with(opts_of(&server).secure_auth(false));
        let mut other = pool.get_conn().await.unwrap();
        let app = ChangeUserOpts::default()
            .with_db_name(None)
            .with_user(Some("app".into()))
            .with_pass(Some("secret".into()));
        other.change_user(app).await.unwrap();
        let asked = other
            .query_first("SELECT DATABASE(), USER()")
            .await
            .unwrap();
        let (schema, user): (Option<String>, String) = asked.unwrap();
        assert_eq!(schema, None);
        assert!(user.starts_with("app@"), "{user}");
    }
}

/// Deviation: the peer's name, and what became of the checkout, follow the server's message.
#[tokio::test]
async fn error_in_place_of_the_greeting_is_a_server_error() {
    let message = "Host '172.17.0.1' is blocked because of many connection errors";
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut packet = vec![u8::try_from(3 + message.len()).unwrap(), 0, 0, 0, 0xff];
        packet.extend(1129_u16.to_le_bytes());
        packet.extend(message.as_bytes());
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            stream.write_all(&packet).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    });
    let opts = Opts::from_url(&format!("mysql://{address}")).unwrap();
    let pool = quick().open([opts]).unwrap();
    let Err(Error::Server(error)) = pool.get_conn().await else {
        unreachable!("it was refused")
    };
    assert_eq!((error.code, &*error.state), (1129, "HY000"));
    assert!(error.message.starts_with(message), "{error}");
}
