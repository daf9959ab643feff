//! `duet mode` changes one value in the document, or nothing.

#![allow(clippy::unwrap_used)]

mod common;

use common::duet;
use std::{
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

/// The Channel that `duet up` makes, with what people do to such a file.
fn document() -> String {
    let example = std::fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/crd/examples/channel.yaml"
    ));
    format!(
        "# mode: Async is for the evening\n{}\n# the end  \n",
        example.unwrap()
    )
}

fn mode(dir: &Path, args: &[&str]) -> common::Said {
    duet(&[&["mode", "--data-dir", dir.to_str().unwrap()], args].concat())
}

#[test]
fn one_value_changes_and_comments_permissions_and_links_stay() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real.yaml");
    let before = document();
    std::fs::write(&real, &before).unwrap();
    std::fs::set_permissions(&real, PermissionsExt::from_mode(0o640)).unwrap();
    let link = dir.path().join("channel.yaml");
    symlink(&real, &link).unwrap();

    let said = mode(dir.path(), &["async"]);
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.stdout.starts_with("Sync -> Async"), "{said:?}");

    assert!(link.is_symlink());
    let after = std::fs::read_to_string(&real).unwrap();
    let changed: Vec<_> = before
        .lines()
        .zip(after.lines())
        .filter(|(a, b)| a != b)
        .collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    assert_eq!(after.len(), before.len() + 1);
    assert_eq!(changed[0].0.replacen("Sync", "Async", 1), changed[0].1);
    assert_eq!(real.metadata().unwrap().permissions().mode() & 0o777, 0o640);

    assert_eq!(mode(dir.path(), &[]).stdout, "Async\n");
    let said = mode(dir.path(), &["async"]);
    assert!(said.stdout.starts_with("Async already"), "{said:?}");
    assert_eq!(std::fs::read_to_string(&real).unwrap(), after);
    mode(dir.path(), &["sync"]);
    assert_eq!(std::fs::read_to_string(&real).unwrap(), before);
}

#[test]
fn a_document_that_is_not_valid_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("channel.yaml");
    let valid = document();
    for (why, text) in [
        ("empty", String::new()),
        ("not YAML", "spec: [".to_owned()),
        (
            "cut off",
            valid[..valid.find("mode:   ").or(valid.rfind("mode: ")).unwrap()].to_owned(),
        ),
        (
            "unknown field",
            valid.replacen("spec:", "spec:\n  speed: 9", 1),
        ),
        (
            "not in force",
            valid.replacen("sync:", "sync:\n    retry: {maxAttempts: 3}", 1),
        ),
    ] {
        std::fs::write(&file, &text).unwrap();
        let said = mode(dir.path(), &["async"]);
        assert_eq!(said.code, Some(5), "{why}: {said:?}");
        assert!(said.stderr.contains("channel.yaml"), "{why}: {said:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{why}");
    }
}

#[test]
fn a_document_that_is_missing_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let said = mode(dir.path(), &["async"]);
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(
        said.stderr.contains("channel.yaml") && said.stderr.contains("duet up"),
        "{said:?}"
    );
}

#[test]
fn a_mode_that_there_isnt_is_refused_with_those_that_there_are() {
    let said = duet(&["mode", "both"]);
    assert_eq!(said.code, Some(2));
    assert!(
        said.stderr.contains("sync") && said.stderr.contains("async"),
        "{said:?}"
    );
}
