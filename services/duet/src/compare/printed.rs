//! Figures as they are printed: few digits, and always a unit, which a line's end does not part from its number.

use crate::took::Took;
use std::{fmt, time::Duration};

/// A part of a whole, in percent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Share {
    pub(crate) part: u64,
    pub(crate) whole: u64,
}

impl Share {
    /// 0 to 1; 0 of nothing.
    pub(crate) fn of_one(self) -> f64 {
        match self.whole {
            0 => 0.0,
            whole => self.part as f64 / whole as f64,
        }
    }
}

/// What is not none never reads as 0 %, and what is not all never as 100 %.
impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = self.of_one() * 100.0;
        match percent {
            _ if self.part == 0 => f.write_str("0\u{a0}%"),
            _ if self.part >= self.whole => f.write_str("100\u{a0}%"),
            ..0.1 => f.write_str("< 0.1\u{a0}%"),
            0.1..9.95 => write!(f, "{percent:.1}\u{a0}%"),
            9.95..99.0 => write!(f, "{percent:.0}\u{a0}%"),
            99.0..99.95 => write!(f, "{percent:.1}\u{a0}%"),
            _ => f.write_str("> 99.9\u{a0}%"),
        }
    }
}

/// So many a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerSecond(pub(crate) f64);

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            rate if rate < 10.0 && rate.fract() != 0.0 => write!(f, "{rate:.1}/s"),
            rate => write!(f, "{}/s", Count(rate.round() as u64)),
        }
    }
}

/// A number with its thousands apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Count(pub(crate) u64);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// A time, rounded to what a reader compares: `0 ms` and not `0 µs`, `200 ms` and not `200.0 ms`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Time(pub(crate) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_secs_f64() {
            0.0 => f.write_str("0\u{a0}ms"),
            seconds if seconds < 0.1 => {
                f.write_str(&Took(self.0).to_string().replace(' ', "\u{a0}"))
            }
            seconds if seconds < 0.9995 => write!(f, "{:.0}\u{a0}ms", seconds * 1e3),
            seconds if seconds < 9.95 && seconds.fract() != 0.0 => write!(f, "{seconds:.2}\u{a0}s"),
            seconds => write!(f, "{}\u{a0}s", Count(seconds.round() as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(shown: impl fmt::Display) -> String {
        shown.to_string().replace('\u{a0}', " ")
    }

    #[test]
    fn what_is_not_all_is_not_shown_as_all_nor_what_is_not_none_as_none() {
        let shown = |part, whole| plain(Share { part, whole });
        for (part, whole, text) in [
            (0, 0, "0 %"),
            (0, 500, "0 %"),
            (1, 50_000, "< 0.1 %"),
            (1, 300, "0.3 %"),
            (4, 50, "8.0 %"),
            (62, 500, "12 %"),
            (298, 300, "99.3 %"),
            (49_999, 50_000, "> 99.9 %"),
            (500, 500, "100 %"),
        ] {
            assert_eq!(shown(part, whole), text, "{part} of {whole}");
        }
    }

    #[test]
    fn times_rates_and_counts_read_at_a_glance() {
        let time = |millis: f64| plain(Time(Duration::from_secs_f64(millis / 1e3)));
        for (millis, text) in [
            (0.0, "0 ms"),
            (0.25, "250 µs"),
            (4.13, "4.1 ms"),
            (200.0, "200 ms"),
            (999.8, "1.00 s"),
            (2_000.0, "2 s"),
            (2_340.0, "2.34 s"),
            (31_600.0, "32 s"),
        ] {
            assert_eq!(time(millis), text);
        }
        assert_eq!(PerSecond(0.5).to_string(), "0.5/s");
        assert_eq!(PerSecond(1_500.0).to_string(), "1,500/s");
        assert_eq!(Count(1_234_567).to_string(), "1,234,567");
    }
}
