//! The configuration that the page on Kubernetes shows, and its example file has.

use std::fs;
use std::path::Path;

use evenhand_config::Sources;

/// A page of the project, which a published crate does not have.
fn page(name: &str) -> String {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    fs::read_to_string(pages.join(name)).unwrap()
}

/// The lines of the file's `evenhand.toml`, without its comments.
fn in_the_file() -> Vec<String> {
    let file = page("kubernetes.yaml");
    let (_, rest) = file.split_once("  evenhand.toml: |\n").unwrap();
    let lines = rest
        .lines()
        .take_while(|line| line.is_empty() || line.starts_with("    "));
    let lines = lines.map(|line| line.trim_start().to_owned());
    lines.filter(|line| !line.starts_with('#')).collect()
}

#[test]
fn page_on_kubernetes_shows_the_configuration_of_its_file() {
    let page = page("KUBERNETES.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (shown, _) = rest.split_once("```").unwrap();
    assert_eq!(in_the_file(), shown.lines().collect::<Vec<_>>());

    let password = Path::new(env!("CARGO_TARGET_TMPDIR")).join("kubernetes-password");
    fs::write(&password, "secret\n").unwrap();
    let text = shown.replace("/etc/orders/password/mysql", password.to_str().unwrap());
    let config = Sources::none().files_in(".").parse(&text, "page").unwrap();
    assert_eq!(config.warnings().to_string(), "");
}
