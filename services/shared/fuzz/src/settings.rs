use duet_crd::Channel;
use duet_crd::duration::Duration;
use duet_crd::quantity::Bytes;
use duet_protocol::settings::Settings;

use crate::split;

/// A Channel document, a duration, a quantity. A document that is taken converts to settings, and is the same once it is written and read
/// again; one that isn't says why in words that a terminal can show.
pub fn settings(data: &[u8]) {
    let (which, data) = split(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match which % 3 {
        0 => document(text),
        1 => {
            if let Ok(duration) = text.parse::<Duration>() {
                let again = duration.to_string().parse();
                assert_eq!(again.ok(), Some(duration));
            }
        }
        _ => {
            if let Ok(bytes) = text.parse::<Bytes>() {
                let again = bytes.to_string().parse();
                assert_eq!(again.ok(), Some(bytes));
            }
        }
    }
}

fn document(text: &str) {
    match Channel::from_yaml(text) {
        Ok(channel) => {
            let settings = Settings::try_from(&channel).expect("what was taken converts");
            let written = channel.to_yaml().expect("what was taken can be written");
            let again = Channel::from_yaml(&written).expect("and read again");
            let again = Settings::try_from(&again).expect("to the same");
            assert_eq!(again, settings);
        }
        Err(problems) => {
            assert!(problems.iter().count() > 0);
            assert!(!problems.to_string().contains(|c: char| c.is_control()));
        }
    }
}
