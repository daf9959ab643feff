//! What a running `duet up` tells the other verbs: `up.json` in the data directory.

use crate::process::Process;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The service that sends, by name.
pub(crate) const SENDER: &str = "reaction";

/// Addresses and processes of one `duet up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// The process that holds all the others.
    pub(crate) duet: Process,
    /// The Channel document that both services watch.
    pub(crate) channel: PathBuf,
    /// Where Reaction answers.
    pub(crate) reaction: Service,
    /// Where Notification answers.
    pub(crate) notification: Service,
    /// Where Trending answers, if it runs.
    #[serde(default)]
    pub(crate) trending: Option<Service>,
    /// The NATS server.
    pub(crate) nats: String,
    /// Jaeger's pages and query API, if this build has them.
    pub(crate) jaeger: Option<String>,
    /// Where spans are sent, if anywhere.
    pub(crate) otlp: Option<String>,
    /// The processes it has started, by name.
    pub(crate) children: BTreeMap<String, Process>,
}

/// The base URLs of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Service {
    /// For callers.
    pub(crate) public: String,
    /// For health, metrics and the channel's state.
    pub(crate) internal: String,
}

impl Running {
    /// The services that run, by name.
    pub(crate) fn services(&self) -> Vec<(&'static str, &Service)> {
        let mut services = vec![
            (SENDER, &self.reaction),
            ("notification", &self.notification),
        ];
        services.extend(self.trending.as_ref().map(|it| ("trending", it)));
        services
    }
}
