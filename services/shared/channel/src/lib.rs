//! The shell around the protocol: outbox and inbox stores, transports, settings, sender and receiver.
