//! The HTTP client of OTLP/HTTP: hyper, driven by this process' runtime.
//!
//! The SDK exports from threads of its own, where there is no runtime.

use std::{fmt, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::connect::HttpConnector;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response, hyper::HyperClient};
use tokio::runtime::Handle;

/// A client of the runtime this is called in, which gives each request up after `timeout`. For `https` it trusts what this machine
/// trusts (or the file that `SSL_CERT_FILE` names).
///
/// # Errors
/// If `https` is asked for, and nothing is trusted.
pub(crate) fn shared(https: bool, timeout: Duration) -> io::Result<Arc<dyn HttpClient>> {
    Ok(if https {
        let provider = rustls::crypto::ring::default_provider();
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)?
            .https_only()
            .enable_http1()
            .build();
        OnRuntime::arc(HyperClient::new(connector, timeout, None))
    } else {
        OnRuntime::arc(HyperClient::new(HttpConnector::new(), timeout, None))
    })
}

struct OnRuntime<C> {
    client: Arc<C>,
    runtime: Handle,
}

impl<C: HttpClient + 'static> OnRuntime<C> {
    fn arc(client: C) -> Arc<dyn HttpClient> {
        Arc::new(Self {
            client: Arc::new(client),
            runtime: Handle::current(),
        })
    }
}

impl<C> fmt::Debug for OnRuntime<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnRuntime").finish_non_exhaustive()
    }
}

#[async_trait]
impl<C: HttpClient + 'static> HttpClient for OnRuntime<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let client = self.client.clone();
        // It ends by the client's timeout.
        let sent = self
            .runtime
            .spawn(async move { client.send_bytes(request).await });
        sent.await?
    }
}
