//! The definition in the chart is the one that the type generates.

#![cfg(feature = "kubernetes")]
#![allow(clippy::unwrap_used)] // a test that ends there has failed as it should

use std::path::Path;

#[test]
fn the_chart_has_the_definition_that_the_type_generates() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../helm/duet/crds/channels.yaml");
    let generated = duet_crd::kubernetes::manifest();
    if std::env::var_os("DUET_BLESS").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    assert!(
        std::fs::read_to_string(&file).unwrap() == generated,
        "helm/duet/crds/channels.yaml is not what the type says; write it anew with\n    \
         DUET_BLESS=1 cargo test -p duet-crd --features kubernetes --test definition"
    );
}
