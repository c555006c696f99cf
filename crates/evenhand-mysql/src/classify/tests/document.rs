//! Makes `docs/MYSQL-ERRORS.md` from the table and from what the tests say they show.
//!
//! A test says so in its doc comment: `Rows: full, user-limit (MariaDB)`, the rows' names and, in
//! brackets, what produced the error; several such lists are parted by semicolons.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

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

/// A test that shows a row: its name, and what made the error there.
type Shown = BTreeMap<&'static str, Vec<(String, String)>>;

#[test]
fn the_document_is_what_the_table_and_the_tests_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../../docs/MYSQL-ERRORS.md");
    let made = document(&shown(root));
    if std::env::var_os("EVENHAND_BLESS").is_some() {
        fs::write(&path, &made).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let line = made.lines().zip(kept.lines()).find(|(new, old)| new != old);
    assert!(
        made == kept,
        "{} is out of date; run this test with EVENHAND_BLESS=1. First difference: {line:?}",
        path.display()
    );
}

fn document(shown: &Shown) -> String {
    let mut out = String::from(HEAD);
    let parts: [(&str, &[Phase]); 3] = [
        ("Before the connection is there", &[Phase::Connect]),
        ("In a statement", &[Phase::Query, Phase::Commit]),
        ("In a `COMMIT`", &[Phase::Commit]),
    ];
    for (title, phases) in parts {
        writeln!(out, "\n## {title}\n").unwrap();
        if phases == [Phase::Commit] {
            out.push_str(COMMIT);
        }
        out.push_str("| row | error | says | peer | retry | connection | shown by |\n");
        out.push_str("| --- | --- | --- | --- | --- | --- | --- |\n");
        for row in rows().filter(|row| row.phases == phases) {
            line(&mut out, row, shown);
        }
    }
    out.push_str("\n## Notes\n\n");
    for row in rows().filter(|row| !row.note.is_empty()) {
        writeln!(out, "- `{}`: {}", row.id, row.note).unwrap();
    }
    out
}

fn line(out: &mut String, row: &Row, shown: &Shown) {
    let Judgement {
        verdict,
        discard,
        check_now,
    } = row.judgement;
    let mut peer = format!("{:?}", verdict.peer);
    if let Some(interval) = verdict.recover_in {
        write!(peer, ", probed in {interval:?}").unwrap();
    }
    if let Some(writable) = row.writable {
        write!(peer, "; {:?} in writable pools", writable.verdict.peer).unwrap();
    }
    if check_now {
        peer.push_str(", checked now");
    }
    let connection = match (row.phases, discard) {
        ([Phase::Connect], _) => "-",
        (_, true) => "discard",
        (_, false) => "keep",
    };
    let tests = shown.get(row.id).map_or("not yet".to_owned(), |tests| {
        let named = |maker: &str| {
            let of = tests.iter().filter(|test| test.1 == maker);
            let names: Vec<_> = of.map(|test| format!("`{}`", test.0)).collect();
            (!names.is_empty()).then(|| format!("{maker}: {}", names.join(", ")))
        };
        let all: Vec<_> = MAKERS.iter().filter_map(|maker| named(maker)).collect();
        all.join("; ")
    });
    writeln!(
        out,
        "| `{}` | {} | {} | {peer} | {:?} | {connection} | {tests} |",
        row.id,
        error(&row.on),
        verdict.reason.unwrap_or("-"),
        verdict.retry,
    )
    .unwrap();
}

fn error(on: &On) -> String {
    let list = |codes: &[u16]| {
        let codes: Vec<_> = codes.iter().map(u16::to_string).collect();
        codes.join(", ")
    };
    match on {
        On::Codes(codes) => list(codes),
        On::Containing(codes, text) => format!("{} with \"{text}\"", list(codes)),
        On::AnyCode => "any other code".to_owned(),
        On::Signs(signs) => {
            let signs: Vec<_> = signs.iter().map(in_words).collect();
            signs.join("; ")
        }
        On::NoError => "none".to_owned(),
    }
}

fn in_words(sign: &Sign) -> &'static str {
    match sign {
        Sign::Refused => "ECONNREFUSED",
        Sign::Io => "other I/O errors, EOF",
        Sign::LocalShortage => "EMFILE, ENFILE, ENOMEM, EADDRNOTAVAIL",
        Sign::TlsCertificate => "TLS: the certificate is refused",
        Sign::TlsBroken => "TLS: an alert, or EOF in its handshake",
        Sign::TlsMissing => "the driver: no TLS there",
        Sign::Protocol => "the driver: packets out of order or unexpected",
        Sign::OwnSettings => "the driver: unknown plugin, unusable TLS files",
        Sign::PacketTooLarge => "the driver: packet too large",
        Sign::Closed => "the driver: connection closed",
        Sign::PoolClosed => "the driver: its pool was closed",
        Sign::Caller => "the driver: every other of its own errors",
        Sign::TimedOut => "`TimedOut`",
        Sign::Slow => "`Slow`",
        Sign::NoFreeConnection => "`NoFreeConnection`",
        Sign::OutOfTime => "`OutOfTime`",
        Sign::Busy => "`Busy`",
        Sign::MovedOn => "`Ejected`, `Avoided`",
        Sign::Disconnected => "`Disconnected`",
        Sign::TryFailed => "`TryTimedOut`, `ConnectionLost`",
    }
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

const HEAD: &str = "\
# What a MySQL error says about its peer

How `evenhand-mysql` judges errors, row by row, and the tests that show it. This page is made from
the table in `crates/evenhand-mysql/src/classify/table/` and from what the tests say they show; a
test fails when it is out of date (`EVENHAND_BLESS=1 cargo test -p evenhand-mysql document` writes it
anew). A `Classifier` adds rows or overrides them.

Errors are judged by code, message and phase. SQLSTATE alone misleads (`08S01` covers 1153 \"packet
too large\", which is the caller's fault), and so does \"server error or not\".

The first row that fits is the one. Peer and retry are those of `evenhand::Verdict`. In a statement,
retry concerns work that was marked idempotent; nothing else is ever run twice. The tests are of the
crate; before each stands what produced the error there: a real MariaDB, Galera cluster or HAProxy,
the in-process double, a listener that sends a few bytes, or nothing but the error's value (unit).
The tests of TLS want one of the TLS features.
";

const COMMIT: &str = "\
What holds in a statement holds in a `COMMIT`, too, but for the retry, which is always `Never`: the
work before it went with its connection. This row comes before those:

";
