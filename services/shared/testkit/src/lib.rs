//! For tests only: a real nats-server, the pair as processes, faults, eventually(), an OTLP receiver.
