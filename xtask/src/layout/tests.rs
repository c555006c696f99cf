use std::fs;

use tempfile::TempDir;

use super::check;

/// The problems of one crate whose `src` has these files.
fn problems(files: &[(&str, &str)]) -> Vec<String> {
    let crates = TempDir::new().unwrap();
    for (path, text) in files {
        let path = crates.path().join("made-up/src").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    check(crates.path()).unwrap()
}

/// The one circle among these files, as (from, to, names).
fn circle(files: &[(&str, &str)]) -> Vec<String> {
    let problems = problems(files);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    let mut lines = problems[0].lines();
    assert!(lines.next().unwrap().ends_with("files import each other:"));
    let shown = |line: &str| line.trim().replace("made-up/src/", "");
    lines.map(shown).collect()
}

const NONE: [String; 0] = [];

#[test]
fn imports_one_way_are_no_circle() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        (
            "a.rs",
            "use crate::b::B; use super::c::C; pub(crate) struct A(B, C);",
        ),
        ("b.rs", "use crate::c; pub(crate) struct B(c::C);"),
        ("c.rs", "pub(crate) struct C;"),
    ];
    assert_eq!(problems(&files), NONE);
}

#[test]
fn circle_is_found_and_its_files_are_named() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c;"),
        ("a.rs", "use crate::b::B; pub(crate) struct A(B);"),
        ("b.rs", "use super::c::C; pub(crate) struct B(C);"),
        (
            "c.rs",
            "use crate::a::{self, A as First}; pub(crate) struct C(First);",
        ),
    ];
    let expected = ["a.rs -> b.rs: B", "b.rs -> c.rs: C", "c.rs -> a.rs: A"];
    assert_eq!(circle(&files), expected);
}

#[test]
fn each_circle_is_told_apart() {
    let files = [
        ("lib.rs", "mod a; mod b; mod c; mod d;"),
        ("a.rs", "pub(crate) struct A(crate::b::B, crate::c::C);"),
        ("b.rs", "pub(crate) struct B(crate::a::A);"),
        ("c.rs", "pub(crate) struct C(crate::d::D);"),
        ("d.rs", "pub(crate) struct D(crate::c::C);"),
    ];
    assert_eq!(problems(&files).len(), 2);
}

#[test]
fn parent_that_uses_its_child_is_in_a_circle_with_it() {
    let files = [
        ("lib.rs", "mod parent;"),
        ("parent/mod.rs", "mod child; pub(crate) struct P(child::C);"),
        ("parent/child.rs", "pub(crate) struct C(*const super::P);"),
    ];
    let expected = [
        "parent/mod.rs -> parent/child.rs: C",
        "parent/child.rs -> parent/mod.rs: P",
    ];
    assert_eq!(circle(&files), expected);
}

#[test]
fn parent_that_only_reexports_is_in_no_circle() {
    let files = [
        ("lib.rs", "mod parent; pub use parent::C;"),
        (
            "parent/mod.rs",
            "mod child; pub use child::C; pub(crate) struct P;",
        ),
        ("parent/child.rs", "use super::P; pub struct C(P);"),
    ];
    assert_eq!(problems(&files), NONE);
}

#[test]
fn reexport_that_the_parent_uses_itself_counts() {
    let files = [
        ("lib.rs", "mod parent;"),
        (
            "parent/mod.rs",
            "mod child; pub(crate) use child::C; pub(crate) fn f(_: C) {}",
        ),
        (
            "parent/child.rs",
            "pub(crate) struct C; fn g() { super::f(C) }",
        ),
    ];
    assert_eq!(circle(&files).len(), 2);
}

#[test]
fn import_through_a_reexport_is_one_of_the_defining_file() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use self::a::A; pub use b::*;"),
        ("a.rs", "use crate::B; pub struct A(B);"),
        ("b.rs", "pub struct B(Option<Box<crate::A>>);"),
    ];
    assert_eq!(circle(&files), ["a.rs -> b.rs: B", "b.rs -> a.rs: A"]);
}

#[test]
fn paths_in_code_and_in_macros_count() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "pub(crate) fn a() { let _ = crate::b::B::new(); }"),
        (
            "b.rs",
            "pub(crate) struct B; fn f() { assert!([0].map(|_| super::a::a()).len() == 1) }",
        ),
    ];
    assert_eq!(circle(&files), ["a.rs -> b.rs: B", "b.rs -> a.rs: a"]);
}

#[test]
fn names_from_a_glob_count() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::*; pub(crate) struct A(B);"),
        ("b.rs", "use super::*; pub(crate) struct B(*const a::A);"),
    ];
    assert_eq!(circle(&files).len(), 2);
}

#[test]
fn inline_modules_belong_to_their_file() {
    let files = [
        (
            "lib.rs",
            "mod a { pub(crate) mod inner { use super::super::b::B; pub(crate) struct A(B); } } mod b;",
        ),
        (
            "b.rs",
            "use crate::a::inner; pub(crate) struct B(inner::A);",
        ),
    ];
    assert_eq!(circle(&files), ["lib.rs -> b.rs: B", "b.rs -> lib.rs: A"]);
}

#[test]
fn test_code_does_not_count() {
    let files = [
        ("lib.rs", "mod a; mod b;"),
        ("a.rs", "use crate::b::B; pub(crate) struct A(B);"),
        (
            "b.rs",
            "pub(crate) struct B; #[cfg(test)] use crate::a::A; \
             #[cfg(test)] mod tests { use crate::a::A; fn f(_: A) {} } \
             #[cfg(all(test, unix))] fn g(_: super::a::A) {}",
        ),
    ];
    assert_eq!(problems(&files), NONE);
}

#[test]
fn other_crates_names_are_no_imports() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use std::fmt::Debug;"),
        (
            "a.rs",
            "use std::fmt; use crate::b::B; pub(crate) fn a(_: B, _: &dyn crate::Debug) -> fmt::Result { Ok(()) }",
        ),
        (
            "b.rs",
            "use tower::a::A; pub(crate) struct B(A, other::a::X);",
        ),
    ];
    assert_eq!(problems(&files), NONE);
}

#[test]
fn long_file_is_refused() {
    let line = "fn f() {}\n";
    assert_eq!(problems(&[("lib.rs", &line.repeat(400))]), NONE);
    let problems = problems(&[("lib.rs", &line.repeat(401))]);
    assert!(
        problems[0].ends_with("lib.rs: 401 lines, 400 are allowed"),
        "{problems:?}"
    );
}

#[test]
fn folder_of_many_files_is_refused() {
    let names: Vec<String> = (0..13).map(|n| format!("folder/f{n}.rs")).collect();
    let mut files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    files.push(("lib.rs", ""));
    let found = problems(&files);
    assert!(
        found[0].ends_with("folder: 13 files, 12 are allowed"),
        "{found:?}"
    );
    files.remove(0);
    assert_eq!(problems(&files), NONE);
}

#[test]
fn folder_without_crates_is_an_error() {
    let crates = TempDir::new().unwrap();
    check(crates.path()).unwrap_err();
}
