//! Jaeger's page, as a person sees it.

use std::process::Command;

use crate::release::Forward;

/// Opens a trace's page in Chromium, and finds these words on it.
///
/// # Panics
/// If a word is missing, or there is no Chromium.
pub(crate) fn shows(jaeger: &Forward, trace: &str, words: &[&str]) {
    let profile = tempfile::tempdir().unwrap();
    let browser = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let output = Command::new(&browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--virtual-time-budget=20000",
            "--window-size=1600,1000",
            "--dump-dom",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("{}/trace/{trace}", jaeger.url))
        .output()
        .unwrap_or_else(|error| panic!("{browser} can't be run: {error}"));
    let page = String::from_utf8_lossy(&output.stdout);
    for word in words {
        assert!(
            page.contains(word),
            "Jaeger's page doesn't show {word:?}: {page}"
        );
    }
}
