//! The SDK's view of the sampler.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use opentelemetry::{
    Context, KeyValue,
    trace::{Link, SpanKind, TraceContextExt, TraceId},
};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample};

use crate::{
    ids,
    names::attribute,
    sampler::{Origin, Randomness, Sampler, Sampling},
};

/// A [`Sampler`] and its clock.
#[derive(Debug)]
pub(crate) struct Clocked {
    sampler: Sampler,
    since: Instant,
}

impl Clocked {
    pub(crate) fn new(sampling: Sampling) -> Self {
        Self {
            sampler: Sampler::new(sampling),
            since: Instant::now(),
        }
    }

    pub(crate) fn decide(&self, origin: Origin, trace_id: TraceId) -> bool {
        let now = match origin {
            // Most spans by far, and nothing depends on the time.
            Origin::Decided { .. } => Duration::ZERO,
            Origin::Ordinary | Origin::Exceptional => self.since.elapsed(),
        };
        self.sampler.decide(origin, now, Randomness::of(trace_id))
    }
}

/// The SDK's view of the sampler: for the spans of [`Tracer`](crate::Tracer), which are decided before they get here, and for
/// whatever else uses the OpenTelemetry API, which says that a root is exceptional by the attribute `duet.sampling`.
#[derive(Clone, Debug)]
pub(crate) struct SdkSampler(pub(crate) Arc<Clocked>);

impl ShouldSample for SdkSampler {
    fn should_sample(
        &self,
        parent: Option<&Context>,
        trace_id: TraceId,
        _name: &str,
        _kind: &SpanKind,
        attributes: &[KeyValue],
        _links: &[Link],
    ) -> SamplingResult {
        let span = parent.map(|context| context.span());
        let caller = span
            .as_ref()
            .map(|span| span.span_context())
            .filter(|caller| caller.is_valid());
        let sampled = ids::is_decided()
            || self.0.decide(
                caller.map_or_else(
                    || root_origin(attributes),
                    |caller| Origin::Decided {
                        sampled: caller.is_sampled(),
                    },
                ),
                trace_id,
            );
        SamplingResult {
            decision: if sampled {
                SamplingDecision::RecordAndSample
            } else {
                SamplingDecision::Drop
            },
            attributes: Vec::new(),
            trace_state: caller
                .map(|caller| caller.trace_state().clone())
                .unwrap_or_default(),
        }
    }
}

fn root_origin(attributes: &[KeyValue]) -> Origin {
    let exceptional = attributes.iter().any(|attribute| {
        attribute.key.as_str() == attribute::SAMPLING
            && attribute.value.as_str() == attribute::SAMPLING_EXCEPTIONAL
    });
    if exceptional {
        Origin::Exceptional
    } else {
        Origin::Ordinary
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_else_uses_the_api_is_sampled_alike() {
        let shell = SdkSampler(Arc::new(Clocked::new(Sampling::default())));
        let sampled = |parent: Option<&Context>, attributes: &[KeyValue]| {
            let id = TraceId::from(u128::MAX);
            let result = shell.should_sample(parent, id, "", &SpanKind::Internal, attributes, &[]);
            let state = result.trace_state.header();
            (result.decision == SamplingDecision::RecordAndSample, state)
        };
        let context = |flags: &str| {
            let text = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            let span = crate::propagation::parse(&text, "a=1").unwrap();
            Context::new().with_remote_span_context(span)
        };
        assert_eq!(sampled(Some(&context("01")), &[]), (true, "a=1".into()));
        assert_eq!(sampled(Some(&context("00")), &[]), (false, "a=1".into()));
        let marked = [KeyValue::new(
            attribute::SAMPLING,
            attribute::SAMPLING_EXCEPTIONAL,
        )];
        let count = |attributes: &[KeyValue]| {
            (0..1_000)
                .filter(|_| sampled(Some(&Context::new()), attributes).0)
                .count()
        };
        // The clock runs.
        assert!((20..40).contains(&count(&[])));
        assert!((5..10).contains(&count(&marked)));
    }
}
