//! The Channel document: its type, its rules, and its conversion into the protocol's settings.
//!
//! The schema is the one truth. The type generates it, with its rules in CEL, as a custom resource's definition, which is
//! committed in the chart: `helm/duet/crds/channels.yaml`. An API server (Kubernetes 1.29 or later) holds a resource to it,
//! `kubectl explain` shows it, [`Channel::from_yaml`] holds a file to it (by the crates `jsonschema` and `kube-cel`), and the
//! conversion into [`duet_protocol::settings::Settings`] a value that was made any other way. All that is wrong is told at once.
//!
//! No I/O: a laptop's file and a cluster's resource are read elsewhere and mean the same here. Kubernetes crates only
//! with the feature `kubernetes`, for what defines the resource and writes its status.

mod channel; // the type, field by field
mod check; // a document against the schema and its rules: every problem, and every default filled in
mod document; // text to document
pub mod duration; // durations as Gateway API writes them
#[cfg(feature = "kubernetes")]
pub mod kubernetes; // the Channel as a custom resource: definition and status
pub mod names; // names of Channels, Services, streams and subjects
mod problem; // what is wrong, where, and what is allowed
pub mod quantity; // sizes as Kubernetes writes them
mod rules; // what is said in CEL: bounds of durations and sizes, fields that depend on another or may not change
mod schema; // the schema of the document, from the custom resource's
mod settings; // into the protocol's settings
pub mod time; // moments as RFC 3339 writes them
mod wording; // the schema in words

pub use channel::{
    API_VERSION, AsyncBatch, AsyncSpec, AsyncTransport, BackoffSpec, CanarySpec, Channel,
    ConsumerSpec, DeletionPolicy, DeliverySpec, FaultsSpec, GROUP, KIND, Metadata, Mode,
    NatsJetStream, OnFailure, Receiver, Spec, Storage, StreamSpec, SyncBatch, SyncSpec,
    SyncTransport, TracesAsync, TracesSpec, VERSION,
};
pub use document::MAX_BYTES;
pub use problem::{Problem, Problems};
pub use schema::schema;

/// The Channel that a laptop starts with: every field that is in force, its default and what it means.
pub const EXAMPLE: &str = include_str!("../examples/channel.yaml");
