//! Ports that stay a child's own while it is down.

use std::net::SocketAddr;
use tokio::net::TcpSocket;

/// Sockets that are bound and don't listen: nobody who looks for a free port is given theirs, and on Linux whoever binds
/// them with SO_REUSEADDR, as servers do, may listen all the same. Elsewhere nothing is kept.
#[derive(Debug, Default)]
pub(crate) struct Kept(#[expect(dead_code, reason = "held, not used")] Vec<TcpSocket>);

impl Kept {
    /// Keeps the ports of a child that has just ended.
    pub(crate) fn of(addresses: &[SocketAddr]) -> Self {
        if cfg!(not(target_os = "linux")) {
            return Self::default();
        }
        let keep = |address: &SocketAddr| {
            let socket = if address.is_ipv4() {
                TcpSocket::new_v4()
            } else {
                TcpSocket::new_v6()
            };
            let socket = socket.ok()?;
            socket.set_reuseaddr(true).ok()?;
            // If somebody was faster, the restart tells.
            socket.bind(*address).ok()?;
            Some(socket)
        };
        Self(addresses.iter().filter_map(keep).collect())
    }
}
