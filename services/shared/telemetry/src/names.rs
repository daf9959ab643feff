//! The name of every span, attribute, event and metric, once.
//!
//! OpenTelemetry's semantic conventions where they have one; Duet's own begin with `duet.`.

/// Span names, each with its kind.
pub mod span {
    use std::borrow::Cow;

    use opentelemetry::trace::SpanKind;

    /// A span's name and kind; the text is put together only for a span that is recorded.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SpanName<'a> {
        operation: &'a str,
        target: Option<&'a str>,
        kind: SpanKind,
    }

    impl SpanName<'_> {
        /// As a tracing backend shows it.
        pub fn text(&self) -> Cow<'static, str> {
            match self.target {
                Some(target) => format!("{} {target}", self.operation).into(),
                None => self.operation.to_owned().into(),
            }
        }

        /// Its place in a call or a message's way.
        pub fn kind(&self) -> SpanKind {
            self.kind.clone()
        }

        /// Whether a service is entered here.
        pub(crate) fn is_entry(&self) -> bool {
            matches!(self.kind, SpanKind::Server | SpanKind::Consumer)
        }
    }

    const fn named(operation: &str, kind: SpanKind) -> SpanName<'_> {
        SpanName {
            operation,
            target: None,
            kind,
        }
    }

    const fn targeted<'a>(operation: &'a str, target: &'a str, kind: SpanKind) -> SpanName<'a> {
        SpanName {
            operation,
            target: Some(target),
            kind,
        }
    }

    /// The transaction that writes a reaction and its event, as its caller waits for it.
    pub const COMMIT_REACTION: SpanName<'static> = named("commit reaction", SpanKind::Internal);
    /// The transaction that takes a reaction back, after its call failed.
    pub const COMPENSATE_REACTION: SpanName<'static> =
        named("compensate reaction", SpanKind::Internal);
    /// The transaction that checks the inbox and applies an event.
    pub const APPLY_REACTION: SpanName<'static> = named("apply reaction", SpanKind::Internal);
    /// One event's part of a request that carries several, at its sender.
    pub const DELIVER_REACTION: SpanName<'static> = named("deliver reaction", SpanKind::Client);
    /// One event's part of a request that carries several, at its receiver.
    pub const RECEIVE_REACTION: SpanName<'static> = named("receive reaction", SpanKind::Server);
    /// An attempt at an event of the parked table that a person asked for.
    pub const REDRIVE_REACTION: SpanName<'static> = named("redrive reaction", SpanKind::Internal);
    /// A job's work, outside any transaction.
    pub const RUN_JOB: SpanName<'static> = named("run job", SpanKind::Internal);
    /// A commit that several transactions share.
    pub const COMMIT_GROUP: SpanName<'static> = named("commit group", SpanKind::Internal);

    /// The operator looks after a Channel, and changes something.
    pub const RECONCILE_CHANNEL: SpanName<'static> = named("reconcile channel", SpanKind::Internal);
    /// It reads everything about it.
    pub const OBSERVE_CHANNEL: SpanName<'static> = named("observe channel", SpanKind::Internal);
    /// It writes what is not as it should be.
    pub const PROVISION_CHANNEL: SpanName<'static> = named("provision channel", SpanKind::Internal);
    /// It writes the status.
    pub const PUBLISH_STATUS: SpanName<'static> = named("publish status", SpanKind::Internal);

    /// A request to this service: `PUT /v1/posts/{post}`.
    pub const fn server<'a>(method: &'a str, route: &'a str) -> SpanName<'a> {
        targeted(method, route, SpanKind::Server)
    }

    /// A request to this service that no route answers: `GET`.
    pub const fn server_without_route(method: &str) -> SpanName<'_> {
        named(method, SpanKind::Server)
    }

    /// A request to another service: `POST /v1/events`.
    pub const fn client<'a>(method: &'a str, route: &'a str) -> SpanName<'a> {
        targeted(method, route, SpanKind::Client)
    }

    /// Sending a message that carries one event.
    pub const fn send(destination: &str) -> SpanName<'_> {
        targeted("send", destination, SpanKind::Producer)
    }

    /// One event's part of a message that carries several.
    pub const fn create(destination: &str) -> SpanName<'_> {
        targeted("create", destination, SpanKind::Producer)
    }

    /// Sending a message that carries several events, each with a [`create`].
    pub const fn send_batch(destination: &str) -> SpanName<'_> {
        targeted("send", destination, SpanKind::Client)
    }

    /// Asking for messages, and getting some.
    pub const fn receive(destination: &str) -> SpanName<'_> {
        targeted("receive", destination, SpanKind::Client)
    }

    /// One event's processing after it was received.
    pub const fn process(destination: &str) -> SpanName<'_> {
        targeted("process", destination, SpanKind::Consumer)
    }

    /// Telling the broker that messages are done with.
    pub const fn settle(destination: &str) -> SpanName<'_> {
        targeted("settle", destination, SpanKind::Client)
    }
}

/// Attribute keys, of spans and of metrics, and the values that are fixed.
pub mod attribute {
    pub use opentelemetry_semantic_conventions::attribute::{
        CLIENT_ADDRESS, CLOUDEVENTS_EVENT_ID, CLOUDEVENTS_EVENT_SOURCE, CLOUDEVENTS_EVENT_TYPE,
        DB_OPERATION_BATCH_SIZE, DB_OPERATION_NAME, DB_SYSTEM_NAME, ERROR_TYPE,
        HTTP_REQUEST_METHOD, HTTP_REQUEST_RESEND_COUNT, HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE,
        MESSAGING_BATCH_MESSAGE_COUNT, MESSAGING_CONSUMER_GROUP_NAME, MESSAGING_DESTINATION_NAME,
        MESSAGING_MESSAGE_BODY_SIZE, MESSAGING_MESSAGE_ID, MESSAGING_OPERATION_NAME,
        MESSAGING_OPERATION_TYPE, MESSAGING_SYSTEM, SERVER_ADDRESS, SERVER_PORT,
        SERVICE_INSTANCE_ID, SERVICE_NAME, SERVICE_VERSION, URL_FULL, URL_PATH, URL_QUERY,
        URL_SCHEME, USER_AGENT_ORIGINAL,
    };

    /// The post's id.
    pub const POST: &str = "duet.post";
    /// The reacting user's id.
    pub const USER: &str = "duet.user";
    /// The channel's mode that the event took: `sync` or `async`.
    pub const MODE: &str = "duet.mode";
    /// What became of it: at the receiver `applied`, `superseded`, `parked`, `duplicate`; at the sender `delivered`, `accepted`,
    /// `refused`, `failed`, `compensated`.
    pub const OUTCOME: &str = "duet.outcome";
    /// The event's source, `partition/epoch`.
    pub const SOURCE: &str = "duet.source";
    /// The event's sequence within its source.
    pub const SEQUENCE: &str = "duet.sequence";
    /// The generation of the Channel that it was sent under.
    pub const GENERATION: &str = "duet.generation";
    /// Which attempt it is, from 1.
    pub const ATTEMPT: &str = "duet.attempt";
    /// How many events a message, a request or a commit holds.
    pub const BATCH_SIZE: &str = "duet.batch.size";
    /// The Channel that it is about.
    pub const CHANNEL: &str = "duet.channel";
    /// How something is, in a word.
    pub const STATE: &str = "duet.state";
    /// The receiver that it is about.
    pub const RECEIVER: &str = "duet.receiver";
    /// Which rule of the protocol struck.
    pub const RULE: &str = "duet.rule";
    /// Why something was done, in a word.
    pub const REASON: &str = "duet.reason";
    /// By which budget it was recorded, if by the exceptional one.
    pub const SAMPLING: &str = "duet.sampling";
    /// The value of [`SAMPLING`] that asks for, and tells of, the exceptional budget.
    pub const SAMPLING_EXCEPTIONAL: &str = "exceptional";
}

/// Events within a span.
pub mod event {
    /// A request is tried again.
    pub const RETRY: &str = "duet.retry";
    /// The event's transmission is repeated.
    pub const RETRANSMIT: &str = "duet.retransmit";
    /// The receiver couldn't apply the event and keeps it for later.
    pub const PARKED: &str = "duet.parked";
    /// Its attempts are used up: it is a dead letter.
    pub const DEAD: &str = "duet.dead";
    /// The event takes another mode than it was accepted in.
    pub const SWITCHED: &str = "duet.switched";
}

/// Metric names. In Prometheus' text dots are underscores, and units and `_total` are appended.
pub mod metric {
    pub use opentelemetry_semantic_conventions::metric::{
        HTTP_CLIENT_REQUEST_DURATION, HTTP_SERVER_REQUEST_DURATION,
        MESSAGING_CLIENT_CONSUMED_MESSAGES, MESSAGING_CLIENT_OPERATION_DURATION,
        MESSAGING_CLIENT_SENT_MESSAGES, MESSAGING_PROCESS_DURATION,
        OTEL_SDK_EXPORTER_LOG_EXPORTED as LOG_RECORDS_EXPORTED,
        OTEL_SDK_EXPORTER_SPAN_EXPORTED as SPANS_EXPORTED,
    };

    /// Changes that a sender accepted, by the mode that each took.
    pub const REQUESTS: &str = "duet.requests";
    /// Events in the outbox, for each receiver.
    pub const OUTBOX_UNACKNOWLEDGED: &str = "duet.outbox.unacknowledged";
    /// How long the oldest event has been in the outbox, for each receiver.
    pub const OUTBOX_OLDEST_AGE: &str = "duet.outbox.oldest.age";
    /// From accept to receipt, by the sender's clock.
    pub const RECEIPT_DURATION: &str = "duet.receipt.duration";
    /// From accept at the sender to the stored notification: two clocks, and only as good as they agree.
    pub const NOTIFY_DURATION: &str = "duet.notify.duration";
    /// Events a group commit holds.
    pub const COMMIT_SIZE: &str = "duet.commit.size";
    /// What became of the events that a receiver was given.
    pub const EVENTS: &str = "duet.events";
    /// Events that wait for another attempt in the parked table.
    pub const PARKED: &str = "duet.parked";
    /// Events whose attempts are used up.
    pub const DEAD_LETTERS: &str = "duet.dead_letters";
    /// By how many events what was accepted is more or less than what was applied, superseded or discarded, is parked or dead, or is on its
    /// way, for each receiver: at the sender as far as it knows, at a receiver of what it holds. 0 where it balances.
    pub const LEDGER_IMBALANCE: &str = "duet.ledger.imbalance";
    /// What was done with events that could not be applied at once: `parked`, `dead`, `redriven`, `discarded`.
    pub const LETTERS: &str = "duet.letters";
    /// How long a job's work takes.
    pub const JOB_DURATION: &str = "duet.job.duration";
    /// Event streams that are open.
    pub const STREAMS: &str = "duet.streams";
    /// How often each rule of the protocol struck.
    pub const RULE_STRIKES: &str = "duet.rule.strikes";
    /// Consumers that the watchdog rebuilt.
    pub const CONSUMER_REBUILDS: &str = "duet.consumer.rebuilds";
    /// Events that had been lost on their way, were sent again and are received (ours).
    pub const REPAIRED_EVENTS: &str = "duet.repaired.events";

    /// How long the operator takes to look after a Channel once.
    pub const OPERATOR_RECONCILE_DURATION: &str = "duet.operator.reconcile.duration";
    /// Channels that the operator looks after.
    pub const OPERATOR_CHANNELS: &str = "duet.operator.channels";
    /// Pods behind a Channel's Services, that follow it and that do not.
    pub const OPERATOR_PARTICIPANTS: &str = "duet.operator.participants";
    /// Whether a Channel's broker has what the Channel asks for.
    pub const OPERATOR_BROKER_READY: &str = "duet.operator.broker.ready";
    /// Switches of a Channel's mode.
    pub const OPERATOR_SWITCHES: &str = "duet.operator.switches";
    /// Whether this operator is the one that acts.
    pub const OPERATOR_LEADS: &str = "duet.operator.leads";
}
