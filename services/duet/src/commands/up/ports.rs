//! Every address, taken or refused before anything starts.

use super::Options;
use crate::failure::{Failure, Kind};
use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr, TcpListener},
};

/// Where everything answers, port 0 resolved.
#[derive(Debug, Clone, Copy)]
pub(super) struct Addresses {
    pub(super) reaction: SocketAddr,
    pub(super) reaction_internal: SocketAddr,
    pub(super) notification: SocketAddr,
    pub(super) notification_internal: SocketAddr,
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
    /// Held until the children take them, so that no two are given the same.
    pub(super) held: Vec<TcpListener>,
}

/// Takes all of them, or says which one is taken and what to do.
pub(super) fn take(options: &Options) -> Result<Ports, Failure> {
    let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut held = Vec::new();
    let mut hold = |flag, address| {
        let (listener, address) = bind(flag, address)?;
        held.push(listener);
        Ok::<_, Failure>(address)
    };
    let listen = &options.listen;
    let mut addresses = Addresses {
        reaction: hold("--reaction", listen.reaction)?,
        reaction_internal: hold("--reaction-internal", listen.reaction_internal)?,
        notification: hold("--notification", listen.notification)?,
        notification_internal: hold("--notification-internal", listen.notification_internal)?,
        nats: hold("", free)?,
        nats_monitoring: hold("", free)?,
        jaeger: None,
        otlp: None,
    };
    let mut pages = None;
    if cfg!(feature = "jaeger") && options.otlp.is_none() {
        let (listener, jaeger) = bind("--jaeger", listen.jaeger)?;
        let (spans, otlp) = bind("", free)?;
        (addresses.jaeger, addresses.otlp) = (Some(jaeger), Some(otlp));
        pages = Some((listener, spans));
    }
    Ok(Ports {
        addresses,
        pages,
        held,
    })
}

fn bind(flag: &str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let bound = TcpListener::bind(address).and_then(|it| it.local_addr().map(|at| (it, at)));
    bound.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Failure::new(
            Kind::Taken,
            format!("{address} is taken by another program"),
        )
        .hint(format!(
            "Stop that, or choose another address with {flag} (port 0: a free one)."
        )),
        _ => Failure::new(Kind::Failed, format!("can't listen on {address}: {error}"))
            .hint(format!("Choose another address with {flag}.")),
    })
}
