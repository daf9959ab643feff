//! Traces, metrics and logs: set-up, sampling, propagation, and every name once.
