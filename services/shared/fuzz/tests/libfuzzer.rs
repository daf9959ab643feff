//! libFuzzer over the target that `DECODER` names: `make fuzz`. What it needs to know of the code is put there by `instrument`.
#![no_main]
#![allow(
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "what can't begin panics"
)]

use std::sync::OnceLock;

use duet_fuzz::{TARGETS, Target};
use libfuzzer_sys::fuzz_target;

static CHOSEN: OnceLock<Target> = OnceLock::new();

fn chosen() -> Target {
    let name = std::env::var("DECODER").expect("DECODER names one");
    let named = TARGETS.iter().find(|(target, _)| *target == name);
    named.unwrap_or_else(|| panic!("{name} is no target")).1
}

fuzz_target!(|data: &[u8]| CHOSEN.get_or_init(chosen)(data));
