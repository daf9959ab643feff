//! Whatever is in the file, reading it ends in a Channel or in problems: never in a panic, and never in a Channel that
//! can't be converted.

use duet_crd::duration::Duration;
use duet_crd::quantity::Bytes;
use duet_crd::{Channel, EXAMPLE};
use duet_protocol::settings::Settings;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

fn seed() -> u64 {
    std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0xD0E7)
}

/// Reads it; true if it was a Channel.
fn read(text: &str) -> bool {
    match Channel::from_yaml(text) {
        Ok(channel) => {
            let settings =
                Settings::try_from(&channel).expect("a Channel that was read is one that converts");
            let written = channel
                .to_yaml()
                .expect("a Channel that was read can be written");
            let again = Channel::from_yaml(&written).expect("and read again");
            assert_eq!(
                Settings::try_from(&again).expect("to the same settings"),
                settings
            );
            true
        }
        Err(problems) => {
            assert!(problems.iter().count() > 0);
            assert!(!problems.to_string().contains(|c: char| c.is_control()));
            false
        }
    }
}

/// One change such as a hand, a half-written file or a stray byte makes.
fn mutate(text: &mut Vec<u8>, random: &mut StdRng) {
    const WORDS: [&str; 18] = [
        "{", "}", "[", "]", ": ", "\n", "  ", "- ", "&a ", "*a", "!t ", "\"", "#", "null", "-1",
        "1e99", "9999h", "\u{feff}",
    ];
    let at = random.random_range(0..=text.len());
    match random.random_range(0..6) {
        0 => text.truncate(at),
        1 => drop(text.drain(at..(at + random.random_range(0..20)).min(text.len()))),
        2 => drop(text.splice(at..at, WORDS.choose(random).expect("some").bytes())),
        3 if at < text.len() => text[at] = random.random(),
        4 => {
            // A line moves elsewhere.
            let mut lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
            let line = lines.remove(random.random_range(0..lines.len()));
            lines.insert(random.random_range(0..=lines.len()), line);
            *text = lines.join(&b'\n');
        }
        _ => drop(text.splice(at..at, [random.random_range(b'0'..=b'z')])),
    }
}

#[test]
fn a_damaged_document_never_panics_and_some_survive() {
    let seed = seed();
    println!("SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut good = 0;
    for _ in 0..1_500 {
        let mut text = EXAMPLE.as_bytes().to_vec();
        for _ in 0..random.random_range(1..8) {
            mutate(&mut text, &mut random);
        }
        good += usize::from(read(&String::from_utf8_lossy(&text)));
    }
    assert!(
        (50..1_450).contains(&good),
        "{good} of 1,500 were good: the damage tests nothing"
    );
}

#[test]
fn a_beginning_of_a_document_is_read_without_panic() {
    for (end, _) in EXAMPLE.char_indices().step_by(3) {
        read(&EXAMPLE[..end]);
    }
}

#[test]
fn noise_never_panics() {
    let mut random = StdRng::seed_from_u64(seed());
    for _ in 0..3_000 {
        let length = random.random_range(0..200);
        let noise: Vec<u8> = (0..length).map(|_| random.random()).collect();
        read(&String::from_utf8_lossy(&noise));
        let ascii: String = (0..length)
            .map(|_| char::from(random.random_range(9..127u8)))
            .collect();
        read(&ascii);
    }
}

#[test]
fn deep_and_exploding_documents_are_refused_in_time() {
    assert!(!read(&"[".repeat(60_000)));
    assert!(!read(&"{a: ".repeat(10_000)));
    assert!(!read(&format!("{}1", "- ".repeat(20_000))));
    let laughs: String = (1..40)
        .map(|n| {
            format!(
                "a{n}: &a{n} [{}]\n",
                vec![format!("*a{}", n - 1); 9].join(",")
            )
        })
        .collect();
    assert!(!read(&format!("a0: &a0 [x,x,x]\n{laughs}")));
}

#[test]
fn durations_and_quantities_of_any_text_never_panic_and_are_written_as_they_are_read() {
    let mut random = StdRng::seed_from_u64(seed());
    let letters: Vec<char> = "0123456789hmsKMGTPEikeE.-+ ".chars().collect();
    for _ in 0..50_000 {
        let text: String = (0..random.random_range(0..12))
            .map(|_| *letters.choose(&mut random).expect("some"))
            .collect();
        if let Ok(duration) = text.parse::<Duration>() {
            assert_eq!(duration.to_string().parse(), Ok(duration), "{text}");
        }
        if let Ok(bytes) = text.parse::<Bytes>() {
            assert_eq!(bytes.to_string().parse(), Ok(bytes), "{text}");
        }
    }
}
