//! What to do next, once everything is ready.

use crate::{
    channel_file::{ChannelFile, name},
    running::Running,
};

/// As printed on stdout.
pub(super) fn text(running: &Running, channel: &ChannelFile) -> String {
    let Running {
        reaction,
        notification,
        nats,
        ..
    } = running;
    let duet = invoked_as();
    let jaeger = running
        .jaeger
        .as_deref()
        .unwrap_or("not in this build (make run has it)");
    let traced = match (&running.jaeger, &running.otlp) {
        (Some(_), _) => format!("  {duet} trace --last\n"),
        (None, Some(otlp)) => format!("  (traces go to {otlp})\n"),
        (None, None) => String::new(),
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
  NATS          {nats}
  Jaeger        {jaeger}

Bob posts, Ana reacts, Bob is notified; then the other mode:

  curl -X PUT {post} {json} -d '{{\"owner\":\"bob\",\"title\":\"Hello\"}}'
  curl -X PUT {post}/reactions/ana {json} -d '{{\"kind\":\"like\"}}'
  curl {notification}/v1/users/bob/notifications
  {duet} mode {other}
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
