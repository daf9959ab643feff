//! What only the user knows.

use serde::{Deserialize, Serialize};

/// What only the user knows of the pair. What is not said is assumed from the figures, and said to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, clap::Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Answers {
    /// Whether a caller can't go on without the receiver's answer [default: judged from what the answers told]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no)]
    pub(crate) needs_answer: Option<bool>,
    /// How late an owner may see it, such as 2s [default: 2s]
    #[arg(long, value_name = "TIME")]
    pub(crate) acceptable_delay: Option<duet_crd::duration::Duration>,
    /// Whether the receiver may fail and do it later [default: judged from what became of failed events]
    #[arg(long, value_name = "yes|no", num_args = 0..=1, default_missing_value = "yes", value_parser = yes_or_no)]
    pub(crate) may_retry: Option<bool>,
}

impl Answers {
    /// These, and for what they don't say the others.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            needs_answer: self.needs_answer.or(other.needs_answer),
            acceptable_delay: self.acceptable_delay.or(other.acceptable_delay),
            may_retry: self.may_retry.or(other.may_retry),
        }
    }
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "yes" | "true" => Ok(true),
        "no" | "false" => Ok(false),
        _ => Err("say yes or no".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        answers: Answers,
    }

    #[test]
    fn a_question_is_answered_by_its_flag_by_yes_or_by_no() {
        let answer = |line: &str| {
            let words = std::iter::once("duet").chain(line.split_whitespace());
            Line::try_parse_from(words).map(|line| line.answers)
        };
        assert_eq!(answer("").unwrap(), Answers::default());
        for (line, needs_answer) in [
            ("--needs-answer", Some(true)),
            ("--needs-answer yes", Some(true)),
            ("--needs-answer=no", Some(false)),
            ("--needs-answer no --may-retry", Some(false)),
        ] {
            assert_eq!(answer(line).unwrap().needs_answer, needs_answer, "{line}");
        }
        let delay = answer("--acceptable-delay 1m30s").unwrap().acceptable_delay;
        assert_eq!(delay.map(|it| it.as_millis()), Some(90_000));
        for bad in [
            "--needs-answer perhaps",
            "--acceptable-delay soon",
            "--acceptable-delay -1s",
        ] {
            assert!(answer(bad).is_err(), "{bad}");
        }
    }
}
