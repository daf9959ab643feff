use duet_channel::transport::cloudevents::{
    hello_from_json, hello_question_from_json, hello_question_to_json, hello_to_json,
    outcomes_from_json, outcomes_to_json, receipts_from_json, receipts_to_json,
};

use crate::split;

/// What a receiver answers and tells, and what it is asked: receipts, outcomes, hellos. What is taken is encoded and is the same again.
pub fn receipts(data: &[u8]) {
    let (which, data) = split(data);
    match which % 4 {
        0 => {
            if let Ok(receipts) = receipts_from_json(data) {
                let again = receipts_from_json(&receipts_to_json(&receipts));
                assert_eq!(again.expect("what was encoded"), receipts);
            }
        }
        1 => {
            let (events, data) = split(data);
            if let Ok(delivered) = outcomes_from_json(data, events.into()) {
                let again = outcomes_from_json(&outcomes_to_json(&delivered), events.into());
                let again = again.expect("what was encoded");
                assert_eq!(again.outcomes, delivered.outcomes);
                assert_eq!(again.receipts, delivered.receipts);
            }
        }
        2 => {
            if let Ok(answer) = hello_from_json(data) {
                let again = hello_from_json(&hello_to_json(&answer));
                assert_eq!(again.expect("what was encoded"), answer);
            }
        }
        _ => {
            if let Ok(store) = hello_question_from_json(data) {
                let again = hello_question_from_json(&hello_question_to_json(store));
                assert_eq!(again.expect("what was encoded"), store);
            }
        }
    }
}
