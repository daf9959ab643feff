//! A trace as it is printed: a line a span, below the one that caused it.
//!
//! ```text
//! PUT /v1/posts/{post}/reactions/{user}  SERVER    reaction         3.2 ms
//!  ├ commit reaction                     INTERNAL  reaction         900 µs
//!  └ POST /v1/events                     CLIENT    reaction         2.0 ms
//!     └ POST /v1/events                  SERVER    notification     1.4 ms
//!        └ apply reaction                INTERNAL  notification     1.1 ms
//! ```

use super::model::{Kind, Reference, Span, Trace};
use crate::took::Took;
use serde::Serialize;
use std::{fmt, time::Duration};

/// The lines of a trace, from the top down.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Tree {
    trace_id: String,
    spans: Vec<Line>,
}

#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    /// Branches drawn left of the name.
    #[serde(skip)]
    branches: String,
    /// Branches that go on below it.
    #[serde(skip)]
    below: String,
    /// How far below the top it stands.
    depth: usize,
    span_id: String,
    name: String,
    kind: Kind,
    service: String,
    /// From the start of the trace to its own.
    offset_us: u64,
    duration_us: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    links: Vec<Link>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Link {
    trace_id: String,
    span_id: String,
    /// What it points at, where that is in the same trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl Tree {
    pub(crate) fn of(trace: &Trace) -> Self {
        let start = trace
            .spans
            .iter()
            .map(|span| span.start_time)
            .min()
            .unwrap_or_default();
        let mut tree = Self {
            trace_id: trace.trace_id.clone(),
            spans: Vec::new(),
        };
        for top in trace.tops() {
            tree.add(trace, top, start, 0, "", "");
        }
        tree
    }

    /// `here` is drawn before this span, `below` before what stands under it.
    fn add(
        &mut self,
        trace: &Trace,
        span: &Span,
        start: u64,
        depth: usize,
        here: &str,
        below: &str,
    ) {
        // Ids are random, so a circle is made on purpose; it is cut where it would grow without end.
        if self.spans.len() >= trace.spans.len() {
            return;
        }
        let link = |it: &Reference| Link {
            trace_id: it.trace_id.clone(),
            span_id: it.span_id.clone(),
            name: (it.trace_id == trace.trace_id)
                .then(|| trace.span(&it.span_id))
                .flatten()
                .map(|it| it.operation_name.clone()),
        };
        self.spans.push(Line {
            branches: here.to_owned(),
            below: below.to_owned(),
            depth,
            span_id: span.span_id.clone(),
            name: span.operation_name.clone(),
            kind: span.kind(),
            service: trace.service(span).to_owned(),
            offset_us: span.start_time.saturating_sub(start),
            duration_us: span.duration,
            error: span.error().map(str::to_owned),
            links: span.links().map(link).collect(),
        });
        let mut children = trace.children(span).peekable();
        while let Some(child) = children.next() {
            let (branch, beside) = if children.peek().is_some() {
                (" ├ ", " │ ")
            } else {
                (" └ ", "   ")
            };
            let (here, below) = (format!("{below}{branch}"), format!("{below}{beside}"));
            self.add(trace, child, start, depth + 1, &here, &below);
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Line) -> usize| self.spans.iter().map(of).max().unwrap_or_default();
        let names = width(|line| line.branches.chars().count() + line.name.chars().count());
        let services = width(|line| line.service.chars().count());
        for line in &self.spans {
            let name = format!("{}{}", line.branches, line.name);
            let (kind, service, took) = (
                line.kind.as_str(),
                &line.service,
                Took(Duration::from_micros(line.duration_us)),
            );
            write!(
                f,
                "{name:<names$}  {kind:<8}  {service:<services$}  {took:>9}"
            )?;
            match line.error.as_deref() {
                None => writeln!(f)?,
                Some("") => writeln!(f, "  ERROR")?,
                Some(why) => writeln!(f, "  ERROR: {why}")?,
            }
            for Link {
                trace_id,
                span_id,
                name,
            } in &line.links
            {
                write!(f, "{}~ linked to ", line.below)?;
                match name {
                    Some(name) => writeln!(f, "{name} ({span_id})")?,
                    None => writeln!(f, "trace {trace_id} (span {span_id})")?,
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jaeger::model::Answer;

    fn captured(json: &str) -> Trace {
        serde_json::from_str::<Answer>(json).unwrap().data.remove(0)
    }

    #[test]
    fn a_sync_reaction_is_drawn_from_the_request_to_the_stored_notification() {
        let trace = captured(include_str!("testdata/sync.json"));
        let expected = "\
PUT /v1/posts/{post}/reactions/{user}  SERVER    reaction         3.2 ms
 ├ commit reaction                     INTERNAL  reaction         900 µs
 └ POST /v1/events                     CLIENT    reaction         2.0 ms
    └ POST /v1/events                  SERVER    notification     1.4 ms
       └ apply reaction                INTERNAL  notification     1.1 ms
";
        assert_eq!(Tree::of(&trace).to_string(), expected);
        assert_eq!(trace.unanswered().count(), 0);
    }

    #[test]
    fn an_async_reaction_shows_errors_links_and_what_is_under_way() {
        let trace = captured(include_str!("testdata/async.json"));
        let expected = "\
PUT /v1/posts/{post}/reactions/{user}  SERVER    reaction     1.1 ms
 ├ commit reaction                     INTERNAL  reaction     900 µs
 ├ create duet.reactions               PRODUCER  reaction     1.52 s  ERROR: no place left
 │ ~ linked to commit reaction (00000000000000b2)
 └ create duet.reactions               PRODUCER  reaction     450 µs
   ~ linked to trace 0af7651916cd43dd8448eb211c80319c (span 00000000000000ff)
";
        assert_eq!(Tree::of(&trace).to_string(), expected);
        let waits: Vec<_> = trace.unanswered().map(|it| it.span_id.as_str()).collect();
        assert_eq!(waits, ["00000000000000b4"], "what failed waits for nobody");
    }

    #[test]
    fn what_lost_its_parent_stands_at_the_left() {
        let mut trace = captured(include_str!("testdata/sync.json"));
        trace
            .spans
            .retain(|span| trace.processes.len() == 2 && span.kind() != Kind::Client);
        assert_eq!(trace.orphans().count(), 1);
        let tree = Tree::of(&trace);
        let lefts: Vec<_> = tree
            .spans
            .iter()
            .filter(|it| it.depth == 0)
            .map(|it| it.kind)
            .collect();
        assert_eq!(lefts, [Kind::Server, Kind::Server]);
        assert_eq!(tree.spans.len(), 4);
    }
}
