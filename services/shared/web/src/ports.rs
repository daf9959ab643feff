//! The ports, taken before anything starts: what is taken already is an error that names it and the flag.

use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::net::TcpSocket;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port that could not be taken.
#[derive(Debug, thiserror::Error)]
#[error(
    "can't listen on {address}: {reason}; choose another address with {flag} (port 0 takes a free one)"
)]
pub struct PortError {
    /// The flag that names the address.
    pub flag: &'static str,
    /// The address.
    pub address: SocketAddr,
    reason: String,
    source: io::Error,
}

/// The public and the internal port, taken and not yet served.
#[derive(Debug)]
pub struct Ports {
    /// The public port, of a process that has one.
    pub public: Option<TcpListener>,
    /// The internal port.
    pub internal: TcpListener,
}

impl Ports {
    /// Takes both, or the internal one alone; port 0 takes a free one. Needs a Tokio runtime.
    pub fn bind(
        listen: impl Into<Option<SocketAddr>>,
        internal_listen: SocketAddr,
    ) -> Result<Self, PortError> {
        let public = listen.into().map(|listen| bind("--listen", listen));
        Ok(Self {
            public: public.transpose()?,
            internal: bind("--internal-listen", internal_listen)?,
        })
    }

    /// Where they are, port 0 resolved; none without a public port.
    pub fn addresses(&self) -> io::Result<Option<Addresses>> {
        let Some(public) = &self.public else {
            return Ok(None);
        };
        Ok(Some(Addresses {
            listen: public.local_addr()?,
            internal_listen: self.internal.local_addr()?,
            pid: std::process::id(),
        }))
    }
}

fn bind(flag: &'static str, address: SocketAddr) -> Result<TcpListener, PortError> {
    let listen = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A port whose connections of before are in TIME_WAIT can be taken again; one that is listened on can't.
        socket.set_reuseaddr(cfg!(unix))?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    listen().map_err(|source| {
        let reason = match source.kind() {
            io::ErrorKind::AddrInUse => "the port is taken by another process".to_owned(),
            _ => source.to_string(),
        };
        PortError {
            flag,
            address,
            reason,
            source,
        }
    })
}

/// Where a process listens: `addresses.json` in its data directory, for whoever started it with port 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Addresses {
    /// The public port.
    pub listen: SocketAddr,
    /// The internal port.
    pub internal_listen: SocketAddr,
    /// The process.
    pub pid: u32,
}

impl Addresses {
    /// The file's name.
    pub const FILE: &str = "addresses.json";

    /// Writes the file: it is there whole or not at all.
    pub fn write(&self, data_dir: &Path) -> io::Result<()> {
        let whole = data_dir.join(format!(".{}.{}", Self::FILE, self.pid));
        let mut file = fs::File::create(&whole)?;
        serde_json::to_writer(&file, self)?;
        file.write_all(b"\n")?;
        fs::rename(whole, data_dir.join(Self::FILE))
    }

    /// Reads the file that a process has written.
    pub fn read(data_dir: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&fs::read(
            data_dir.join(Self::FILE),
        )?)?)
    }

    /// Takes the file away, unless another process has written its own since.
    pub fn remove(&self, data_dir: &Path) {
        if Self::read(data_dir).is_ok_and(|written| written == *self) {
            let _ = fs::remove_file(data_dir.join(Self::FILE));
        }
    }
}
