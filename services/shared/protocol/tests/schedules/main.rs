//! Schedules that broke earlier wordings of the protocol, each as a short test of the machines; and where one rule mends it, that
//! without the rule it breaks again. `like`, `love` and undoing are what callers ask of one key.

mod anew;
mod batches;
mod calls;
mod copies;
mod jobs;
mod ledger;
mod loss;
mod members;
mod memory;
mod overtaken;
mod pair;
mod parked;
mod resyncs;
mod sending;
mod standing;
mod stores;
mod sweeps;
#[allow(dead_code)]
#[path = "../simulation/tables/mod.rs"]
mod tables;
#[allow(dead_code)]
#[path = "../simulation/witness.rs"]
mod witness;
mod words;
