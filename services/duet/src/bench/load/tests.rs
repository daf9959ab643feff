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
async fn a_connection_that_was_given_up_for_want_of_requests_is_opened_anew() {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = connect(listener.local_addr().unwrap()).unwrap();
    let mut connection = Connection::over(stream).unwrap();
    let serving = std::thread::spawn(move || {
        let given_up =
            b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        listener.accept().unwrap().0.write_all(given_up).unwrap();
        // The second is given up as the request is on its way.
        let mut crossing = listener.accept().unwrap().0;
        crossing.read_exact(&mut [0; 3]).unwrap();
        crossing.write_all(given_up).unwrap();
        let mut asked = listener.accept().unwrap().0;
        asked.read_exact(&mut [0; 3]).unwrap();
        asked
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .unwrap();
    });
    assert_eq!(connection.exchange(b"ask").await.unwrap(), 200);
    serving.join().unwrap();
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
