//! The whole of it on a real cluster: the one of the current kubeconfig, on whose nodes Duet's image is (`make e2e`).
//!
//! Each test has a namespace of its own and leaves nothing behind. What a user does by hand is done here by the same
//! programs: helm, kubectl, `duet`, a browser.
#![allow(clippy::unwrap_used, reason = "a test that can't go on has failed")]

mod browser; // Jaeger's page, as a person sees it
mod callers; // reactions, through a port-forward
mod chart; // what the chart renders, and what it refuses
mod cli; // helm and kubectl
mod compare; // the same in both modes, and put back
mod definition; // the Channel's type, as the API server enforces it
mod faults; // what goes wrong on purpose, and a canary
mod installed; // install, react, switch, upgrade, uninstall
mod jaeger; // traces, from Jaeger's query API
mod load; // load from within, as a Job with Duet's own image
mod outages; // what is killed, cut off or away
mod receivers; // several of them
mod release; // an installation of the chart
mod rights; // who may do what

use std::time::Duration;

/// Far longer than anything takes on an idle machine.
const PATIENCE: Duration = Duration::from_secs(120);
