use std::fs;

use tempfile::TempDir;

use super::check;

const SOURCE: &str = "
    fn helper_of_the_tests() {}
    #[test] fn first_of_all() {}
    mod inner { mod tests { #[tokio::test(start_paused = true)] async fn second_of_all() {} } }
";

fn workspace(architecture: &str, docs: &str) -> TempDir {
    let workspace = TempDir::new().unwrap();
    for (path, text) in [
        ("crates/made-up/tests/all/folder/mod.rs", SOURCE),
        (
            "crates/made-up/src/lib.rs",
            "#[test] fn unit() {} fn main() {} fn other() {}",
        ),
        (
            "crates/made-up/tests/plain.rs",
            "fn main() { runs() } fn runs() {}",
        ),
        ("ARCHITECTURE.md", architecture),
        ("docs/dev/page.md", docs),
    ] {
        let path = workspace.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    workspace
}

fn problems(architecture: &str, docs: &str) -> Vec<String> {
    check(workspace(architecture, docs).path()).unwrap()
}

const NONE: [String; 0] = [];

#[test]
fn tests_and_modules_that_exist_are_no_problem() {
    let promises = "## What it promises
1. It works. (`folder::first_of_all`,
   `second_of_all`, `all::folder::inner::tests::second_of_all`, `unit`, `plain::runs`;
   all of `folder`)";
    assert_eq!(problems(promises, "| `inner::second_of_all` |"), NONE);
}

#[test]
fn each_missing_test_is_a_problem_with_its_line() {
    let promises = "## What it promises
1. It works. (`first_of_all`, `folder::unit`,
   `gone`, `helper_of_the_tests`, `main`, `other`)";
    let expected = [
        "ARCHITECTURE.md:2: no test is named `folder::unit`",
        "ARCHITECTURE.md:3: no test is named `gone`",
        "ARCHITECTURE.md:3: no test is named `helper_of_the_tests`",
        "ARCHITECTURE.md:3: no test is named `main`",
        "ARCHITECTURE.md:3: no test is named `other`",
        "docs/dev/page.md:1: no test is named `folder::third_of_all`",
    ];
    assert_eq!(problems(promises, "see `folder::third_of_all`"), expected);
}

#[test]
fn other_code_is_not_taken_for_a_test() {
    let page = "It uses `tokio::time` (and `tokio`).
```
(`some::path_of_three_words`)
```
## What it promises
1. `gone` (see `first_of_all`) and `gone` (`Error::Gone`, `docs/gone.md`, `gone = 1`)";
    assert_eq!(problems(page, ""), NONE);
}

#[test]
fn unclosed_parenthesis_ends_with_its_paragraph() {
    let page = "## What it promises\n1. (`unit`\n\n2. `gone`";
    assert_eq!(problems(page, ""), NONE);
}

#[test]
fn pages_without_any_name_are_an_error() {
    assert!(check(workspace("", "").path()).is_err());
}
