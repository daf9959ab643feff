//! What every transport that calls promises.

use async_trait::async_trait;
use duet_channel::transport::conformance::CallSubject;
use duet_channel::transport::http::HttpCall;
use duet_protocol::event::Event;

use super::receiver::ReceiverProcess;
use crate::observer;

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
