//! The example of a job does what it says.

#[path = "../../examples/job.rs"]
#[allow(dead_code, reason = "its `main` is the example's")]
mod job;

use duet_testkit::NatsServer;

#[tokio::test]
async fn work_that_takes_longer_than_the_deadline_and_the_brokers_ack_wait_runs_once_in_either_mode()
 {
    let nats = NatsServer::start().await;
    assert_eq!(
        job::print(&nats.url()).await.unwrap(),
        [
            "Sync: Tides is accepted",
            "Async: Moons is accepted",
            "2 prints, in 2 runs",
        ]
    );
}
