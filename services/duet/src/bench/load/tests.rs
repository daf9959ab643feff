use super::*;
use crate::bench::baseline;

#[tokio::test]
async fn every_answer_is_counted_and_the_load_ends_in_time() {
    let (listen, server) = baseline::server(1, baseline::Serves::Bare).unwrap();
    let served = tokio::spawn(server);
    let load = Load {
        target: listen,
        connections: NonZeroU16::new(5).unwrap(),
        when: When::Answered(Duration::from_millis(200)),
    };
    let tally = load.clone().run(Requests::root()).await.unwrap();
    assert!(tally.accepted() > 5, "{tally:?}");
    assert_eq!(tally.statuses.len(), 1);
    assert!(tally.took >= Duration::from_millis(200));
    assert!(tally.wait(0.5) <= tally.wait(1.0));

    // The baseline has one route, so that nothing else is mistaken for it.
    let posts = Posts(std::num::NonZeroU32::MIN);
    let refused = load
        .run(Requests::Reactions(Reactions::to(posts, Users::Ordered)))
        .await
        .unwrap();
    assert_eq!(refused.accepted(), 0);
    assert_eq!(refused.statuses.keys().collect::<Vec<_>>(), [&404]);
    served.abort();
}

#[tokio::test]
async fn a_server_that_hangs_up_is_an_error_and_not_a_number() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let load = Load {
        target: listener.local_addr().unwrap(),
        connections: NonZeroU16::MIN,
        when: When::Answered(Duration::from_secs(60)),
    };
    let hang_up = std::thread::spawn(move || drop(listener.accept()));
    let failure = load.run(Requests::root()).await.unwrap_err();
    assert!(failure.to_string().contains("connection"), "{failure}");
    hang_up.join().unwrap();
}
