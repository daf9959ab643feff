//! What to do next, once everything is ready.

use crate::{
    channel_file::{ChannelFile, name},
    running::Running,
};
use std::path::Path;

/// As printed on stdout. `data_dir` is as given; commands need not name it where it is the default.
pub(super) fn text(running: &Running, channel: &ChannelFile, data_dir: Option<&Path>) -> String {
    let Running {
        reaction,
        notification,
        nats,
        ..
    } = running;
    let duet = invoked_as();
    let on = data_dir
        .map(|dir| format!(" --data-dir {}", dir.display()))
        .unwrap_or_default();
    let jaeger = running
        .jaeger
        .as_deref()
        .unwrap_or("not in this build (make run has it)");
    let traced = match (&running.jaeger, &running.otlp) {
        (Some(_), _) => format!("  {duet} trace --last{on}\n"),
        (None, Some(otlp)) => format!("  (traces go to {otlp})\n"),
        (None, None) => String::new(),
    };
    let (trending, trends) = match &running.trending {
        Some(trending) => (
            format!(
                "  Trending      {} (the Channel is to it, too)\n",
                trending.public
            ),
            format!("  curl {}/v1/trending\n", trending.public),
        ),
        None => Default::default(),
    };
    let other = match channel.mode() {
        duet_crd::Mode::Sync => "async",
        duet_crd::Mode::Async => "sync",
    };
    let (mode, file) = (name(channel.mode()), channel.path().display());
    let post = format!("{}/v1/posts/hello", reaction.public);
    let json = "-H 'content-type: application/json'";
    format!(
        "\
The pair is up, in mode {mode} ({file}).

  Reaction      {reaction}
  Notification  {notification}
{trending}  NATS          {nats}
  Jaeger        {jaeger}

Bob posts, Ana reacts, Bob is notified; then the other mode:

  curl -X PUT {post} {json} -d '{{\"owner\":\"bob\",\"title\":\"Hello\"}}'
  curl -X PUT {post}/reactions/ana {json} -d '{{\"kind\":\"like\"}}'
  curl {notification}/v1/users/bob/notifications
{trends}  {duet} mode {other}{on}
{traced}
Ctrl-C stops everything.
",
        reaction = reaction.public,
        notification = notification.public,
    )
}

/// The command as the user can type it: as it was started, where that is a path.
fn invoked_as() -> String {
    let given = std::env::args().next().unwrap_or_default();
    if given.contains('/') {
        given
    } else {
        "duet".to_owned()
    }
}
