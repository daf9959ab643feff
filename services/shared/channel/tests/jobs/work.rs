//! Work that takes longer than a message or a call may.

use duet_channel::dead_letters::Filter;
use duet_channel::transport::Urgency;
use duet_protocol::receive::Outcome;

use super::end::{End, event};

#[tokio::test]
async fn a_job_is_parked_at_once_and_applied_with_what_its_work_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    for (sequence, urgency) in [(2, Urgency::Inline), (3, Urgency::Background)] {
        let key = if sequence == 2 { "a" } else { "b" };
        let taken = end.takes(event(sequence, "job", key, key), urgency).await;
        assert_eq!(taken, Outcome::Parked);
    }
    end.has_begun(2).await;
    assert_eq!(end.text("a").await, None);
    end.texts.0.let_go.add_permits(2);
    end.holds("a", "a, done").await;
    end.holds("b", "b, done").await;
    end.has_letters(0, 0).await;
    end.stops().await;
}

#[tokio::test]
async fn jobs_of_a_key_run_one_at_a_time_in_order_and_one_that_is_superseded_does_not_run() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    for sequence in [2, 3, 4] {
        let text = sequence.to_string();
        end.takes(event(sequence, "job", "a", &text), Urgency::Background)
            .await;
    }
    end.has_begun(1).await;
    end.texts.0.let_go.add_permits(1);
    end.holds("a", "2, done").await;
    end.has_begun(2).await;
    // While the second runs, something newer than all is applied.
    end.takes(event(5, "text", "a", "newest"), Urgency::Background)
        .await;
    end.texts.0.let_go.add_permits(1);
    end.has_letters(0, 0).await;
    assert_eq!(end.text("a").await.as_deref(), Some("newest"));
    assert_eq!(*end.texts.0.ran.lock().unwrap(), ["2", "3"]);
    end.stops().await;
}

#[tokio::test]
async fn a_job_runs_again_after_a_crash_and_one_that_ends_the_process_each_time_is_a_dead_letter() {
    let dir = tempfile::tempdir().unwrap();
    let end = End::open(dir.path());
    end.takes(event(2, "job", "a", "a"), Urgency::Background)
        .await;
    end.has_begun(1).await;
    end.dies().await;
    let end = End::open(dir.path());
    end.has_begun(1).await;
    end.dies().await;
    let end = End::open(dir.path());
    end.has_letters(0, 1).await;
    assert_eq!(end.text("a").await, None);
    // By name, a person has it run once more.
    let id = event(2, "job", "a", "a").id();
    end.receiver
        .dead_letters()
        .redrive(Filter::of([id]), None)
        .await
        .unwrap();
    assert_eq!(end.redriven().await.queued, 1);
    end.texts.0.let_go.add_permits(1);
    end.holds("a", "a, done").await;
    end.stops().await;
}
