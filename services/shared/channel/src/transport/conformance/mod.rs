//! The suites that every transport passes, written against the traits and what a transport says of its limits and features.
//!
//! One that calls says how its receiver is reached ([`CallSubject`]) and takes [`call_conformance!`](crate::call_conformance); one with
//! a broker says how that is started ([`BrokerSubject`]) and takes [`broker_conformance!`](crate::broker_conformance). Both run against
//! the real thing, in a process of its own that can be killed, with its storage.
#![allow(clippy::unwrap_used)]

pub mod broker;
pub mod call;
mod events;

pub use broker::BrokerSubject;
pub use call::CallSubject;
pub use events::{DECIDED, Events, FAILS};

use std::time::Duration;

/// How long anything may take before a test gives up: far more than on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs the suite over the [`CallSubject`] that an expression makes, one for each test.
#[macro_export]
macro_rules! call_conformance {
    ($subject:expr) => {
        $crate::conformance_tests! { call, $subject =>
            each_event_has_its_outcome_and_the_source_its_receipt
            an_event_arrives_as_it_was
            a_second_copy_is_answered_as_the_first
            a_full_request_is_taken_whole
            a_large_event_is_taken
            more_than_the_limits_is_refused_and_changes_nothing
            many_are_under_way_at_once
            what_nobody_waits_for_any_more_is_not_applied
            a_failure_is_the_callers_inline_and_parked_in_the_background
            hello_tells_what_is_held
            a_receiver_that_is_down_has_applied_nothing
            a_receiver_killed_in_the_middle_holds_what_it_said
            a_receiver_whose_storage_is_wiped_holds_nothing_and_speaks_anew
        }
    };
}

/// Runs the suite over the [`BrokerSubject`] that an expression makes, one for each test.
#[macro_export]
macro_rules! broker_conformance {
    ($subject:expr) => {
        $crate::conformance_tests! { broker, $subject =>
            an_event_arrives_as_it_was
            a_batch_arrives_whole_and_in_order
            large_events_arrive
            more_than_the_limits_is_refused_and_never_arrives
            many_are_under_way_at_once
            cancelling_next_loses_nothing
            what_is_not_settled_comes_again
            settling_up_to_a_position_leaves_what_came_later
            what_is_released_comes_again
            what_a_receiver_tells_reaches_its_store_alone
            hello_reaches_the_receiver
            the_backlog_tells_what_is_outstanding
            what_is_published_before_provisioning_is_not_stored
            provisioning_again_changes_nothing
            a_killed_broker_keeps_what_it_stored
            a_wiped_broker_is_seen_to_be_another
        }
    };
}

/// One `#[tokio::test]` for each name of a suite.
#[doc(hidden)]
#[macro_export]
macro_rules! conformance_tests {
    ($suite:ident, $subject:expr => $($test:ident)*) => {
        $(
            #[tokio::test]
            async fn $test() {
                $crate::transport::conformance::$suite::$test($subject).await;
            }
        )*
    };
}
