//! The names of the attributes, in JSON and as headers.

/// A CloudEvents attribute that Duet's events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attribute {
    Specversion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    Sequence,
    Generation,
    Traceparent,
    Tracestate,
}

impl Attribute {
    pub(super) const fn name(self) -> &'static str {
        self.header().split_at("ce-".len()).1
    }

    pub(super) const fn header(self) -> &'static str {
        match self {
            Attribute::Specversion => "ce-specversion",
            Attribute::Id => "ce-id",
            Attribute::Source => "ce-source",
            Attribute::Type => "ce-type",
            Attribute::Subject => "ce-subject",
            Attribute::Time => "ce-time",
            Attribute::Sequence => "ce-duetsequence",
            Attribute::Generation => "ce-duetgeneration",
            Attribute::Traceparent => "ce-traceparent",
            Attribute::Tracestate => "ce-tracestate",
        }
    }
}
