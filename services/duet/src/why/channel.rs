use duet_channel::life::Generation;
use duet_protocol::event::Key;
use duet_protocol::settings::{Mode, OnFailure, Settings, TransportSettings};

/// A generation of the Channel with what it says of one key.
#[derive(Debug)]
pub(super) struct InForce<'a> {
    pub(super) kept: &'a Generation,
    pub(super) settings: Settings,
    /// The mode that the key took.
    pub(super) mode: Mode,
}

impl<'a> InForce<'a> {
    /// None if this version can't read the document.
    pub(super) fn of(kept: &'a Generation, key: &Key) -> Option<Self> {
        let settings = Settings::try_from(&kept.document).ok()?;
        Some(Self {
            mode: settings.mode_of(key),
            settings,
            kept,
        })
    }

    /// What decided the mode: the mode, or the canary's share and the side of it.
    pub(super) fn why_this_mode(&self) -> (Vec<String>, Option<String>) {
        let Settings { mode, canary, .. } = &self.settings;
        let mut by = vec![format!("spec.mode = {}", mode.as_str())];
        let side = canary.map(|canary| {
            let percent = canary.percent.get();
            by.push(format!("spec.canary = {} {percent}%", canary.mode.as_str()));
            match self.mode == *mode {
                true => format!("by its hash the pair is none of the canary's {percent}%"),
                false => format!("by its hash the pair is one of the canary's {percent}%"),
            }
        });
        (by, side)
    }

    pub(super) fn deadline(&self) -> String {
        format!("spec.sync.deadline = {:?}", self.settings.sync.deadline)
    }

    pub(super) fn on_failure(&self) -> String {
        let OnFailure::Fail = self.settings.sync.on_failure;
        "spec.sync.onFailure = Fail".to_owned()
    }

    /// By what an event of this mode travels in the background.
    pub(super) fn way(&self) -> (String, String) {
        let broker = self.settings.r#async.as_ref().map(|it| &it.transport);
        match (self.mode, broker) {
            (Mode::Async, Some(TransportSettings::NatsJetStream(settings))) => (
                format!("the stream {} of NATS JetStream", settings.stream.name),
                "spec.async.transport = NATSJetStream".to_owned(),
            ),
            _ => ("HTTP".to_owned(), "spec.sync.transport = HTTP".to_owned()),
        }
    }
}
