//! A port of a pod's, on loopback, as `kubectl port-forward` does it: each connection is a WebSocket to the API server, which the node
//! carries on into the pod. Where the pod is gone, the next connection goes to its successor.

use super::target::Target;
use crate::failure::{Doing, Failure};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};

/// Connections that one port carries at a time; more are closed at once.
const CONNECTIONS: usize = 1_024;
/// After a connection that could not be accepted.
const PAUSE: Duration = Duration::from_millis(200);

/// Ports that are forwarded. Dropped, they are closed, with every connection that they carry.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    listening: JoinSet<()>,
}

impl Forwards {
    /// Forwards a port of this process to the target when it is first used. Returns the base URL here.
    pub(super) async fn to(&mut self, target: Target) -> Result<String, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.doing(|| "listen on 127.0.0.1".to_owned())?;
        let address = listener
            .local_addr()
            .doing(|| "listen on 127.0.0.1".to_owned())?;
        self.listening.spawn(carry_all(listener, Arc::new(target)));
        Ok(format!("http://{address}"))
    }
}

/// Carries every connection, until it is dropped.
async fn carry_all(listener: TcpListener, to: Arc<Target>) {
    let mut carried = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((connection, _)) if carried.len() < CONNECTIONS => {
                    carried.spawn(carry(connection, to.clone()));
                }
                Ok(_) => {}
                // This process has no file left for it; a moment later it may.
                Err(_) => sleep(PAUSE).await,
            },
            Some(_) = carried.join_next() => {}
        }
    }
}

/// One connection, to its end.
async fn carry(mut here: TcpStream, to: Arc<Target>) {
    // Small requests and answers: none waits for another to fill a segment.
    let _ = here.set_nodelay(true);
    if let Err(why) = carry_between(&mut here, &to).await {
        // Before the connection is closed: whoever used it may end this process.
        to.tell(why);
    }
}

async fn carry_between(here: &mut TcpStream, to: &Target) -> Result<(), String> {
    let mut forwarder = to.open().await?;
    let stream = forwarder.take_stream(to.port);
    let failed = forwarder.take_error(to.port);
    let (Some(mut there), Some(failed)) = (stream, failed) else {
        return Err(format!("port {} was not opened", to.port));
    };
    let failed = async {
        match failed.await {
            Some(why) => why,
            // Nothing was wrong, and nothing will be told any more.
            None => std::future::pending().await,
        }
    };
    let outcome = tokio::select! {
        // That either side hung up is for whoever uses the connection to judge.
        _ = copy_bidirectional(here, &mut there) => Ok(()),
        why = failed => {
            to.forget();
            Err(to.refused(&why))
        }
    };
    forwarder.abort();
    outcome
}
