//! What every transport that calls promises.

use async_trait::async_trait;
use duet_channel::transport::conformance::CallSubject;
use duet_channel::transport::http::HttpCall;
use duet_channel::transport::spans::Observer;
use duet_protocol::event::Event;
use duet_telemetry::{Config, Telemetry};

use crate::receiver::ReceiverProcess;

pub(crate) fn observer() -> Observer {
    let telemetry = Telemetry::start(Config::new("test", "0.0.0")).unwrap();
    Observer {
        tracer: telemetry.tracer(),
        instruments: telemetry.instruments(),
    }
}

#[async_trait]
impl CallSubject for ReceiverProcess {
    type Call = HttpCall;

    async fn call(&self) -> HttpCall {
        HttpCall::new(&self.url(), observer()).unwrap()
    }

    async fn applied(&self) -> Vec<Event> {
        ReceiverProcess::applied(self)
    }

    async fn kill(&mut self) {
        ReceiverProcess::kill(self);
    }

    async fn restart(&mut self) {
        ReceiverProcess::restart(self).await;
    }

    async fn wipe(&mut self) {
        ReceiverProcess::wipe(self);
    }
}

duet_channel::call_conformance!(ReceiverProcess::start().await);
