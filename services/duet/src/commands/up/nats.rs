//! Which nats-server, and when it is ready.

use crate::failure::{Doing, Failure, Kind};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// What JetStream's consumers need here came with it.
const OLDEST: (u32, u32) = (2, 14);
/// Between two looks at a server that starts; it takes 70 ms.
const PAUSE: Duration = Duration::from_millis(10);

/// The one that is named, else what `make tools` fetched, else the one on PATH; and not an old one.
pub(super) async fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let hint = "Run `make tools`, or name one with --nats-server PATH, or a server that runs with --nats URL.";
    let program = match named {
        Some(path) => path.to_owned(),
        None => fetched()
            .or_else(on_path)
            .ok_or_else(|| Failure::new(Kind::Failed, "no nats-server is found").hint(hint))?,
    };
    let shown = program.display();
    let output = tokio::process::Command::new(&program)
        .arg("--version")
        .output()
        .await
        .doing(|| format!("run {shown}"))
        .map_err(|failure| failure.hint(hint))?;
    let said = String::from_utf8_lossy(&output.stdout);
    match version(&said) {
        Some(version) if version >= OLDEST => Ok(program),
        Some((major, minor)) => {
            let what = format!(
                "{shown} is {major}.{minor}; Duet needs {}.{} or later",
                OLDEST.0, OLDEST.1
            );
            Err(Failure::new(Kind::Failed, what).hint(hint))
        }
        None => Err(
            Failure::new(Kind::Failed, format!("{shown} is no nats-server: {said:?}")).hint(hint),
        ),
    }
}

/// This program is TARGET/debug/duet; `make tools` puts what it fetches into TARGET/tools/bin.
fn fetched() -> Option<PathBuf> {
    let own = std::env::current_exe().ok()?;
    own.ancestors()
        .map(|dir| dir.join("tools/bin/nats-server"))
        .find(|tool| tool.is_file())
}

fn on_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|dir| dir.join("nats-server"))
        .find(|tool| tool.is_file())
}

/// From `nats-server: v2.15.1`.
fn version(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().rsplit_once('v')?.1.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// Ends when JetStream takes requests.
pub(super) async fn ready(http: &reqwest::Client, monitoring: SocketAddr) {
    let url = format!("http://{monitoring}/healthz?js-enabled-only=true");
    loop {
        if http
            .get(&url)
            .send()
            .await
            .is_ok_and(|answer| answer.status().is_success())
        {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_servers_print() {
        assert_eq!(version("nats-server: v2.15.1\n"), Some((2, 15)));
        assert_eq!(version("nats-server: v2.14.0-RC.1"), Some((2, 14)));
        assert_eq!(version("GNU bash, version 5"), None);
    }
}
