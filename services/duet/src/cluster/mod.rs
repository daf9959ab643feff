//! The pair in a Kubernetes cluster: found by its labels, reached by forwarding ports, switched by patching its Channel.
//!
//! Everything else of the command knows of it only through [`Place`](crate::place::Place).

mod channel; // the release's Channel: found, patched, waited for
mod connect; // the API server, as the kubeconfig says
mod forward; // a port of a pod's, on loopback
mod pods; // which pods a component has, and which one to forward to
mod problem; // what the API server says, as the user reads it
mod release; // which release is meant
mod standing; // how far a Channel is followed
mod target; // which pod's port, and how it is opened
mod upset; // what a `duet compare` does to a release for a while

/// Which cluster, and what in it.
pub(crate) use connect::{Cluster, Options};
/// Ports that are forwarded as long as this is kept.
pub(crate) use forward::Forwards;
/// A part of a release.
pub(crate) use pods::Component;
/// A Channel as it is told.
pub(crate) use standing::Standing;
