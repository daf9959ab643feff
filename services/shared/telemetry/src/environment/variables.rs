use std::time::Duration;

use super::ConfigError;
use crate::config::Batches;

/// All variables, by name.
pub(super) struct Variables<'a>(pub(super) &'a dyn Fn(&str) -> Option<String>);

impl Variables<'_> {
    /// An empty one counts as not set.
    pub(super) fn get(&self, name: &str) -> Option<String> {
        (self.0)(name).filter(|value| !value.trim().is_empty())
    }

    /// The first that is set.
    pub(super) fn first(&self, names: [&'static str; 2]) -> Option<(&'static str, String)> {
        names
            .into_iter()
            .find_map(|name| Some((name, self.get(name)?)))
    }

    pub(super) fn number(&self, variable: &'static str) -> Result<Option<u32>, ConfigError> {
        match self.get(variable) {
            None => Ok(None),
            Some(value) => match value.parse::<u32>() {
                Ok(number) if number > 0 => Ok(Some(number)),
                _ => Err(ConfigError {
                    variable,
                    value: Some(value),
                    expected: "a whole number above 0",
                }),
            },
        }
    }

    pub(super) fn millis(&self, variable: &'static str) -> Result<Option<Duration>, ConfigError> {
        let millis = self.number(variable)?;
        Ok(millis.map(|millis| Duration::from_millis(millis.into())))
    }

    pub(super) fn batches(
        &self,
        usual: Batches,
        every: &'static str,
        queue: &'static str,
    ) -> Result<Batches, ConfigError> {
        Ok(Batches {
            every: self.millis(every)?.unwrap_or(usual.every),
            queue: self.number(queue)?.map_or(usual.queue, |it| it as usize),
        })
    }

    /// One of these words, in any case of letters.
    pub(super) fn one_of(
        &self,
        variable: &'static str,
        words: &[&'static str],
        expected: &'static str,
    ) -> Result<Option<&'static str>, ConfigError> {
        let Some(value) = self.get(variable) else {
            return Ok(None);
        };
        let known = words.iter().find(|word| value.eq_ignore_ascii_case(word));
        known.map(|word| Some(*word)).ok_or(ConfigError {
            variable,
            value: Some(value),
            expected,
        })
    }

    pub(super) fn is_disabled(&self) -> bool {
        self.get("OTEL_SDK_DISABLED")
            .is_some_and(|disabled| disabled.eq_ignore_ascii_case("true"))
    }
}
