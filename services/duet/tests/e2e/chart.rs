//! What the chart renders, and what it refuses: `make chart`, with the API server asked too.

use std::path::Path;

use crate::cli::{Helm, run};

#[tokio::test]
#[ignore = "needs a cluster: make e2e"]
async fn the_chart_is_sound_for_either_helm_and_the_api_server_takes_every_set_of_values() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/lint-chart.sh");
    for helm in [Helm::Four, Helm::Three] {
        let helm = format!("HELM={}", helm.program());
        let script = script.to_str().unwrap();
        run("env", [&helm, "sh", script, "--server"]).or_panic();
    }
}
