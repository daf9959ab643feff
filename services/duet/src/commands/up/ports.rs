//! Every address, taken or refused before anything starts.

use super::Options;
use crate::failure::{Failure, Kind};
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
};
use tokio::net::{TcpListener, TcpSocket};

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// Where everything answers, port 0 resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) reaction: SocketAddr,
    pub(super) reaction_internal: SocketAddr,
    pub(super) notification: SocketAddr,
    pub(super) notification_internal: SocketAddr,
    /// Trending's two, if it runs.
    pub(super) trending: Option<[SocketAddr; 2]>,
    pub(super) nats: SocketAddr,
    pub(super) nats_monitoring: SocketAddr,
    /// None where spans go elsewhere, or in a build without Jaeger.
    pub(super) jaeger: Option<SocketAddr>,
    pub(super) otlp: Option<SocketAddr>,
}

/// The addresses and the sockets that hold them.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) addresses: Addresses,
    /// For Jaeger's pages and for spans; this process serves them itself.
    #[cfg_attr(
        not(feature = "jaeger"),
        expect(dead_code, reason = "nobody serves them")
    )]
    pub(super) pages: Option<(TcpListener, TcpListener)>,
    /// For the children.
    pub(super) held: Held,
}

/// Sockets that keep addresses for the children that will listen there.
///
/// A socket that is bound and doesn't listen keeps a port from everybody who looks for a free one. On Linux, who binds it
/// with SO_REUSEADDR may listen all the same, so there the ports are kept while a child is started again, too.
#[derive(Debug)]
pub(super) struct Held(Vec<(&'static str, TcpSocket)>);

impl Held {
    /// The child of this name is about to listen.
    pub(super) fn make_way(&mut self, name: &str) {
        if cfg!(not(target_os = "linux")) {
            self.0.retain(|(child, _)| *child != name);
        }
    }
}

/// Takes all of them, or says which one is taken and what to do; of Trending's, at `trending`, if it is to run.
pub(super) fn take(options: &Options, trending: Option<[SocketAddr; 2]>) -> Result<Ports, Failure> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut held = Vec::new();
    let mut hold = |child, flag, address| {
        let (socket, address) = bind(flag, address)?;
        held.push((child, socket));
        Ok::<_, Failure>(address)
    };
    let listen = &options.listen;
    let mut addresses = Addresses {
        reaction: hold("reaction", "--reaction", listen.reaction)?,
        reaction_internal: hold("reaction", "--reaction-internal", listen.reaction_internal)?,
        notification: hold("notification", "--notification", listen.notification)?,
        notification_internal: hold(
            "notification",
            "--notification-internal",
            listen.notification_internal,
        )?,
        trending: match trending {
            Some([public, internal]) => Some([
                hold("trending", "--trending", public)?,
                hold("trending", "--trending-internal", internal)?,
            ]),
            None => None,
        },
        nats: hold("nats", "", free)?,
        nats_monitoring: hold("nats", "", free)?,
        jaeger: None,
        otlp: None,
    };
    let mut pages = None;
    if cfg!(feature = "jaeger") && options.otlp.is_none() {
        let (socket, jaeger) = bind("--jaeger", listen.jaeger)?;
        let (spans, otlp) = bind("", free)?;
        (addresses.jaeger, addresses.otlp) = (Some(jaeger), Some(otlp));
        let listen = |socket: TcpSocket| socket.listen(BACKLOG);
        pages = Some((
            listen(socket).map_err(|error| taken("--jaeger", jaeger, &error))?,
            listen(spans).map_err(|error| taken("", otlp, &error))?,
        ));
    }
    Ok(Ports {
        addresses,
        pages,
        held: Held(held),
    })
}

fn bind(flag: &str, address: SocketAddr) -> Result<(TcpSocket, SocketAddr), Failure> {
    let bind = || {
        let socket = if address.is_ipv4() {
            TcpSocket::new_v4()
        } else {
            TcpSocket::new_v6()
        }?;
        // A port whose connections of before linger can be taken again; one that is listened on can't.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let address = socket.local_addr()?;
        Ok((socket, address))
    };
    bind().map_err(|error| taken(flag, address, &error))
}

fn taken(flag: &str, address: SocketAddr, error: &std::io::Error) -> Failure {
    match error.kind() {
        ErrorKind::AddrInUse => Failure::new(
            Kind::Taken,
            format!("{address} is taken by another program"),
        )
        .hint(format!(
            "Stop that, or choose another address with {flag} (port 0: a free one)."
        )),
        _ => Failure::new(Kind::Failed, format!("can't listen on {address}: {error}"))
            .hint(format!("Choose another address with {flag}.")),
    }
}
