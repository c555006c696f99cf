//! A list in a file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use evenhand_dns::{Discovery, Source};

use crate::support::{Follower, MIN_TTL, eventually};

fn follower(path: &Path) -> Follower {
    let source = Source::file(path, Duration::ZERO).unwrap();
    let discovery = Discovery::new([source]).min_ttl(MIN_TTL);
    Follower::new(discovery.max_retry(MIN_TTL))
}

#[tokio::test]
async fn list_that_changes_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers.json");
    let mut follower = follower(&path);
    let handle = follower.changes.handle();
    // It need not be there yet.
    let settled = async { handle.settled().await };
    follower.during(settled).await.unwrap();
    fs::write(&path, r#"["10.0.0.1:1", "10.0.0.2:1"]"#).unwrap();
    follower.until(&["10.0.0.1:1", "10.0.0.2:1"]).await;
    // By renaming a new one, as it is to be done.
    let new = folder.path().join("new");
    fs::write(
        &new,
        r#"[{"address": "10.0.0.2:1", "host": "db", "weight": 4}]"#,
    )
    .unwrap();
    fs::rename(&new, &path).unwrap();
    follower.until(&["db/10.0.0.2:1"]).await;
    assert_eq!(follower.peers["db/10.0.0.2:1"].weight, 4);
}

#[cfg(unix)]
#[tokio::test]
async fn file_behind_a_link_that_moves_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old"), folder.path().join("new"));
    for (data, text) in [(&old, "10.0.0.1:1"), (&new, "10.0.0.2:1")] {
        fs::create_dir(data).unwrap();
        fs::write(data.join("peers.toml"), format!("peers = [\"{text}\"]")).unwrap();
    }
    // As a ConfigMap is mounted.
    let (data, next) = (folder.path().join("..data"), folder.path().join("..next"));
    std::os::unix::fs::symlink(&old, &data).unwrap();
    let mut follower = follower(&data.join("peers.toml"));
    follower.until(&["10.0.0.1:1"]).await;
    std::os::unix::fs::symlink(&new, &next).unwrap();
    fs::rename(&next, &data).unwrap();
    follower.until(&["10.0.0.2:1"]).await;
}

#[tokio::test]
async fn file_that_is_gone_empty_or_wrong_keeps_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("peers.json");
    fs::write(&path, r#"["10.0.0.1:1"]"#).unwrap();
    let mut follower = follower(&path);
    follower.until(&["10.0.0.1:1"]).await;
    let handle = follower.changes.handle();
    for (text, expected) in [
        (Some("[]"), "has no addresses"),
        (Some("[\"10.0.0.1"), "failed"),
        (Some("[\"db.example:1\"]"), "failed"),
        (None, "failed"),
    ] {
        match text {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let failed = eventually("a failure", || {
            let error = handle.sources()[0].error.clone();
            error.is_some_and(|error| error.to_string().contains(expected))
        });
        follower.during(failed).await;
        fs::write(&path, r#"["10.0.0.1:1"]"#).unwrap();
        let works = eventually("an answer", || handle.sources()[0].error.is_none());
        follower.during(works).await;
    }
    assert_eq!(follower.told, ["+10.0.0.1:1"]);
}
