//! Holds the two documents of the table to the code.
//!
//! `docs/MYSQL-ERRORS.md` is for users. Its prose is written by hand; the tables in it are made from
//! the rows that `<!-- rows: .. -->` names, and every row is in exactly one of them.
//! `docs/dev/ERROR-TESTS.md` lists the tests that show each row. A test says so in its doc comment:
//! `Rows: full, user-limit (MariaDB)`, the rows' names and, in brackets, what produced the error;
//! semicolons separate several such lists.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use evenhand::{PeerVerdict, Retry};

use crate::classify::row::{On, Row};
use crate::classify::sign::Sign;
use crate::classify::table::rows;
use crate::classify::{Judgement, Phase};

/// What may produce an error in a test.
const MAKERS: [&str; 6] = [
    "MariaDB",
    "Galera",
    "HAProxy",
    "the double",
    "a bare listener",
    "unit",
];

const ROWS: &str = "<!-- rows: ";
const END: &str = "<!-- end -->\n";

/// By row: the tests that show it, each with what made the error there.
type Shown = BTreeMap<&'static str, Vec<(String, String)>>;

#[test]
fn the_users_page_agrees_with_the_table() {
    let path = root().join("../../docs/MYSQL-ERRORS.md");
    let kept = fs::read_to_string(&path).unwrap();
    compare(&path, &kept, &with_tables(&kept));
}

#[test]
fn the_developers_page_lists_the_tests_of_each_row() {
    let path = root().join("../../docs/dev/ERROR-TESTS.md");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    compare(&path, &kept, &test_page(&shown(root())));
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn compare(path: &Path, kept: &str, made: &str) {
    if std::env::var_os("EVENHAND_BLESS").is_some() {
        fs::write(path, made).unwrap();
        return;
    }
    let line = made.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(
        made == kept,
        "{} is out of date; run this test with EVENHAND_BLESS=1. First difference: {line:?}",
        path.display()
    );
}

/// The page with its tables made anew.
fn with_tables(page: &str) -> String {
    let mut left: Vec<&Row> = rows().collect();
    let mut parts = page.split(ROWS);
    let mut out = parts.next().unwrap().to_owned();
    for part in parts {
        let (ids, rest) = part.split_once(" -->\n").unwrap();
        let (_, prose) = rest.split_once(END).unwrap();
        let named: Vec<&Row> = ids.split(", ").map(|id| take(&mut left, id)).collect();
        out += &format!("{ROWS}{ids} -->\n\n{}\n{END}{prose}", table(&named));
    }
    let left: Vec<&str> = left.iter().map(|row| row.id).collect();
    assert!(
        left.is_empty(),
        "no table of the page has the rows {left:?}"
    );
    out
}

fn take<'r>(left: &mut Vec<&'r Row>, id: &str) -> &'r Row {
    let found = left.iter().position(|row| row.id == id);
    left.remove(found.unwrap_or_else(|| panic!("`{id}` is no row, or is on the page twice")))
}

fn table(rows: &[&Row]) -> String {
    let connects = rows.iter().all(|row| row.phases == [Phase::Connect]);
    let (head, line) = if connects {
        ("", "")
    } else {
        (" connection |", " --- |")
    };
    let mut out = format!("| error | meaning | peer | your work |{head}\n");
    writeln!(out, "| --- | --- | --- | --- |{line}").unwrap();
    for row in rows {
        let (error, meaning, peer, work) = (error(&row.on), meaning(row), peer(row), work(row));
        write!(out, "| {error} | {meaning} | {peer} | {work} |").unwrap();
        let connection = match row.judgement.discard {
            _ if connects => "",
            true => " closed |",
            false => " kept |",
        };
        writeln!(out, "{connection}").unwrap();
    }
    out
}

/// The reason that events and errors give, and the row's note.
fn meaning(row: &Row) -> String {
    let mut meaning = row.judgement.verdict.reason.unwrap_or_default().to_owned();
    if !row.note.is_empty() {
        write!(meaning, ". {}", row.note).unwrap();
    }
    // The names of rows mean nothing to users.
    for other in rows() {
        let reason = other.judgement.verdict.reason.unwrap_or_default();
        meaning = meaning.replace(&format!("`{}`", other.id), &format!("\"{reason}\""));
    }
    meaning
}

fn peer(row: &Row) -> String {
    let Judgement {
        verdict, check_now, ..
    } = row.judgement;
    let mut peer = verdict_in_words(verdict.peer).to_owned();
    if let Some(interval) = verdict.recover_in {
        write!(peer, ", first probe after {} s", interval.as_secs()).unwrap();
    }
    if let Some(writable) = row.writable {
        let word = match writable.verdict.peer == verdict.peer {
            true => "checked at once",
            false => verdict_in_words(writable.verdict.peer),
        };
        write!(peer, "; {word} in writable pools").unwrap();
    }
    if check_now {
        peer.push_str(", checked at once");
    }
    peer
}

fn verdict_in_words(verdict: PeerVerdict) -> &'static str {
    match verdict {
        PeerVerdict::Healthy => "works",
        PeerVerdict::Neutral => "not blamed",
        PeerVerdict::Degraded => "failure",
        PeerVerdict::Down => "ejected",
        PeerVerdict::Suspect => "in doubt",
        other => panic!("the pages have no word for {other:?}"),
    }
}

fn work(row: &Row) -> &'static str {
    match (row.phases, row.judgement.verdict.retry) {
        (_, Retry::Never) => "error",
        ([Phase::Connect], Retry::Busy) => "another peer, then this one again",
        ([Phase::Connect], _) => "another peer",
        _ => "moves on",
    }
}

fn error(on: &On) -> String {
    match on {
        On::Codes(codes) => named(codes),
        On::Containing(codes, text) => format!("{} with \"{text}\"", named(codes)),
        On::AnyCode => "any other code".to_owned(),
        On::Signs(signs) => {
            let signs: Vec<_> = signs.iter().map(in_words).collect();
            signs.join(";<br>")
        }
        On::NoError => "no error".to_owned(),
    }
}

fn named(codes: &[u16]) -> String {
    let name = |code: &u16| {
        let found = NAMES.iter().find(|(known, _)| known == code);
        let (_, name) = found.unwrap_or_else(|| panic!("{code} has no name in this file"));
        format!("{code} `{name}`")
    };
    let codes: Vec<_> = codes.iter().map(name).collect();
    codes.join(",<br>")
}

fn in_words(sign: &Sign) -> &'static str {
    match sign {
        Sign::Refused => "`ECONNREFUSED`",
        Sign::Io => "any other I/O error, end of stream",
        Sign::LocalShortage => "`EMFILE`, `ENFILE`, `ENOMEM`, `EADDRNOTAVAIL`",
        Sign::TlsCertificate => "TLS: certificate refused",
        Sign::TlsBroken => "TLS: alert, or end of stream in the handshake",
        Sign::TlsMissing => "driver: the server has no TLS",
        Sign::Protocol => "driver: packet out of order or unexpected",
        Sign::OwnSettings => "driver: unknown plugin, unusable TLS file",
        Sign::PacketTooLarge => "driver: packet too large",
        Sign::Closed => "driver: connection closed",
        Sign::PoolClosed => "driver: pool closed",
        Sign::Caller => "driver: any other error",
        Sign::TimedOut => "`AttemptError::TimedOut`",
        Sign::Slow => "`AttemptError::Slow`",
        Sign::NoFreeConnection => "`AttemptError::NoFreeConnection`",
        Sign::OutOfTime => "`AttemptError::OutOfTime`",
        Sign::Busy => "`AttemptError::Busy`",
        Sign::MovedOn => "`AttemptError::Ejected`",
        Sign::Avoided => "`AttemptError::Avoided`",
        Sign::Disconnected => "`AttemptError::Disconnected`",
        Sign::TryFailed => "`AttemptError::TryTimedOut`, `ConnectionLost`, `RolledBack`",
    }
}

fn test_page(shown: &Shown) -> String {
    let mut out = String::from(TEST_PAGE);
    for row in rows() {
        let none = Vec::new();
        let tests = shown.get(row.id).unwrap_or(&none);
        let of = |maker: &&str| {
            let of = tests.iter().filter(|test| test.1 == **maker);
            let names: Vec<_> = of.map(|test| format!("`{}`", test.0)).collect();
            (!names.is_empty()).then(|| format!("{maker}: {}", names.join(", ")))
        };
        let all: Vec<_> = MAKERS.iter().filter_map(of).collect();
        let all = if all.is_empty() {
            "none".to_owned()
        } else {
            all.join(";<br>")
        };
        writeln!(out, "| `{}` | {all} |", row.id).unwrap();
    }
    out
}

/// What the tests of this crate say that they show.
fn shown(root: &Path) -> Shown {
    let mut files = Vec::new();
    for folder in ["src/classify", "tests"] {
        rust_files(&root.join(folder), &mut files);
    }
    files.sort();
    let mut shown = Shown::new();
    for file in files {
        let of = file.strip_prefix(root).unwrap().with_extension("");
        let mut parts: Vec<_> = of.iter().map(|part| part.to_str().unwrap()).collect();
        parts.remove(0);
        parts.retain(|part| !["main", "mod", "mysql"].contains(part));
        let module = parts.join("::");
        read(&module, &fs::read_to_string(&file).unwrap(), &mut shown);
    }
    shown
}

fn rust_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

fn read(module: &str, source: &str, shown: &mut Shown) {
    let mut comment = String::new();
    for line in source.lines().map(str::trim) {
        if let Some(text) = line.strip_prefix("///") {
            comment.push_str(text);
        } else if let Some((_, rest)) = line.split_once("fn ") {
            let name = rest.split(['(', '<']).next().unwrap();
            if let Some((_, lists)) = comment.split_once("Rows: ") {
                note(&format!("{module}::{name}"), lists, shown);
            }
            comment.clear();
        } else if !line.starts_with("#[") {
            comment.clear();
        }
    }
}

fn note(test: &str, lists: &str, shown: &mut Shown) {
    for list in lists.split(';') {
        let list = list.trim().trim_end_matches([')', '.']);
        let (ids, maker) = list.rsplit_once('(').unwrap();
        assert!(MAKERS.contains(&maker), "{test} names `{maker}`");
        for id in ids.split(',').map(str::trim) {
            let row = rows().find(|row| row.id == id);
            let row =
                row.unwrap_or_else(|| panic!("{test} shows `{id}`, and there is no such row"));
            let tests = shown.entry(row.id).or_default();
            tests.push((test.to_owned(), maker.to_owned()));
        }
    }
}

const TEST_PAGE: &str = "\
# The tests of the error table

This page is generated. It lists, for each row of the table in
`crates/evenhand-mysql/src/classify/table/`, the tests of `evenhand-mysql` that show it. What the
rows mean to a user is in [MYSQL-ERRORS.md](../MYSQL-ERRORS.md).

A test names its rows in its doc comment, with what produced the error in brackets:
`Rows: full, user-limit (MariaDB)`. That is a real MariaDB, Galera cluster or HAProxy, the in-process
double, a listener that sends a few bytes, or only the error's value (unit). The tests of TLS need
one of the TLS features.

A test fails when a page is out of date. This command writes both anew:

    EVENHAND_BLESS=1 cargo test -p evenhand-mysql --lib document

| row | shown by |
| --- | --- |
";

/// The names of the codes, as MySQL, MariaDB and ProxySQL have them in their sources.
const NAMES: [(u16, &str); 52] = [
    (1020, "ER_CHECKREAD"),
    (1040, "ER_CON_COUNT_ERROR"),
    (1042, "ER_BAD_HOST_ERROR"),
    (1043, "ER_HANDSHAKE_ERROR"),
    (1044, "ER_DBACCESS_DENIED_ERROR"),
    (1045, "ER_ACCESS_DENIED_ERROR"),
    (1047, "ER_UNKNOWN_COM_ERROR"),
    (1049, "ER_BAD_DB_ERROR"),
    (1053, "ER_SERVER_SHUTDOWN"),
    (1077, "ER_NORMAL_SHUTDOWN"),
    (1078, "ER_GOT_SIGNAL"),
    (1079, "ER_SHUTDOWN_COMPLETE"),
    (1080, "ER_FORCING_CLOSE"),
    (1129, "ER_HOST_IS_BLOCKED"),
    (1130, "ER_HOST_NOT_PRIVILEGED"),
    (1152, "ER_ABORTING_CONNECTION"),
    (1153, "ER_NET_PACKET_TOO_LARGE"),
    (1154, "ER_NET_READ_ERROR_FROM_PIPE"),
    (1155, "ER_NET_FCNTL_ERROR"),
    (1156, "ER_NET_PACKETS_OUT_OF_ORDER"),
    (1157, "ER_NET_UNCOMPRESS_ERROR"),
    (1158, "ER_NET_READ_ERROR"),
    (1159, "ER_NET_READ_INTERRUPTED"),
    (1160, "ER_NET_ERROR_ON_WRITE"),
    (1161, "ER_NET_WRITE_INTERRUPTED"),
    (1180, "ER_ERROR_DURING_COMMIT"),
    (1184, "ER_NEW_ABORTING_CONNECTION"),
    (1203, "ER_TOO_MANY_USER_CONNECTIONS"),
    (1205, "ER_LOCK_WAIT_TIMEOUT"),
    (1213, "ER_LOCK_DEADLOCK"),
    (1226, "ER_USER_LIMIT_REACHED"),
    (1290, "ER_OPTION_PREVENTS_STATEMENT"),
    (1317, "ER_QUERY_INTERRUPTED"),
    (1614, "ER_XA_RBDEADLOCK"),
    (1698, "ER_ACCESS_DENIED_NO_PASSWORD_ERROR"),
    (1792, "ER_CANT_EXECUTE_IN_READ_ONLY_TRANSACTION"),
    (1820, "ER_MUST_CHANGE_PASSWORD"),
    (1836, "ER_READ_ONLY_MODE"),
    (1927, "ER_CONNECTION_KILLED"),
    (1969, "ER_STATEMENT_TIMEOUT"),
    (3024, "ER_QUERY_TIMEOUT"),
    (3100, "ER_RUN_HOOK_ERROR"),
    (3101, "ER_TRANSACTION_ROLLBACK_DURING_COMMIT"),
    (3118, "ER_ACCOUNT_HAS_BEEN_LOCKED"),
    (3169, "ER_SESSION_WAS_KILLED"),
    (4031, "ER_CLIENT_INTERACTION_TIMEOUT"),
    (4151, "ER_ACCOUNT_HAS_BEEN_LOCKED"),
    (9001, "ER_PROXYSQL_MAX_CONN_TIMEOUT"),
    (9002, "ER_PROXYSQL_MAX_CONN_FAILURES"),
    (9003, "ER_PROXYSQL_COMMAND_NOT_SUPPORTED"),
    (9005, "ER_PROXYSQL_LAGGING_SRV"),
    (9006, "ER_PROXYSQL_PING_TIMEOUT"),
];
