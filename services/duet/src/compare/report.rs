//! The report of a run: its figures, what is said of each mode held against them, and what is recommended.
//!
//! Pure but for `Report::read` and `Report::write_to`: a report is made of `Measured` and `Answers` alone, so that one can be
//! made again from its JSON (`--from`).

mod html; // one page, with everything in it
mod markdown; // the same to paste
mod page; // what both show
mod pictures; // SVG
mod summary; // the few rows that say most
mod terms; // the terms in words
mod text; // for a terminal

#[cfg(test)]
mod tests;

pub(crate) use text::Style;

use super::{
    claims::{self, Claim, Verdict},
    measured::{Measured, VERSION},
    recommend::{self, Answers, Recommendation},
};
use crate::failure::{Doing, Failure, Kind};
use serde::{Deserialize, Serialize};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The largest `report.json` that is read, in bytes; one of a full run is under 200 KiB.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// A run, judged.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Report {
    measured: Measured,
    answers: Answers,
    claims: Vec<Claim>,
    recommendation: Recommendation,
    /// What the verdicts rest on.
    thresholds: &'static [&'static str],
}

/// What a report is made again from; the rest of its JSON follows from this.
#[derive(Debug, Deserialize)]
pub(super) struct Kept {
    pub(super) measured: Measured,
    #[serde(default)]
    answers: Answers,
}

impl Report {
    /// Judges a run.
    ///
    /// # Errors
    /// The Channel document that it holds is not valid.
    pub(crate) fn of(measured: Measured, answers: Answers) -> Result<Self, Failure> {
        let claims = claims::judge(&measured);
        let recommendation = recommend::recommend(&measured, &answers)
            .map_err(|why| Failure::new(Kind::Invalid, why))?;
        Ok(Self {
            measured,
            answers,
            claims,
            recommendation,
            thresholds: claims::THRESHOLDS,
        })
    }

    /// Makes the report of an earlier run again. What is answered now goes before what was answered then.
    ///
    /// # Errors
    /// There is no `report.json` of this version.
    pub(crate) fn read(path: &Path, answers: Answers) -> Result<Self, Failure> {
        let read = || {
            let mut text = String::new();
            File::open(path)?
                .take(MAX_BYTES)
                .read_to_string(&mut text)?;
            Ok::<_, std::io::Error>(text)
        };
        let text = read().doing(|| format!("read {}", path.display()))?;
        let Kept {
            measured,
            answers: then,
        } = kept(&text).map_err(|why| {
            Failure::new(
                Kind::Failed,
                format!("{} is no report of `duet compare`: {why}", path.display()),
            )
        })?;
        Self::of(measured, answers.or(then))
    }

    /// Writes `report.html`, `report.md` with its pictures, `report.json` and `channel.yaml`, the recommended one, into a
    /// directory, which is made if it is not there. Returns their paths.
    pub(crate) fn write_to(&self, dir: &Path) -> Result<Vec<PathBuf>, Failure> {
        std::fs::create_dir_all(dir).doing(|| format!("make {}", dir.display()))?;
        let mut json =
            serde_json::to_string_pretty(self).doing(|| "write the report as JSON".to_owned())?;
        json.push('\n');
        let mut files = vec![
            ("report.html".to_owned(), self.html()?),
            ("report.md".to_owned(), self.markdown()?),
            ("report.json".to_owned(), json),
            (
                "channel.yaml".to_owned(),
                self.recommendation.document.yaml.clone(),
            ),
        ];
        let pictures = pictures::all(&self.measured).into_iter();
        files.extend(pictures.filter_map(|it| Some((it.file(), it.alone()?))));
        let write = |(name, text): (String, String)| {
            let path = dir.join(name);
            std::fs::write(&path, text).doing(|| format!("write {}", path.display()))?;
            Ok(path)
        };
        files.into_iter().map(write).collect()
    }

    /// How many statements there are of each verdict.
    fn tally(&self) -> String {
        let verdicts = [
            Verdict::Held,
            Verdict::HeldInPart,
            Verdict::DidNotHold,
            Verdict::TooLittleData,
        ];
        let counted = verdicts.into_iter().filter_map(|verdict| {
            let count = self
                .claims
                .iter()
                .filter(|it| it.judged.judgement.verdict == verdict)
                .count();
            let words = match verdict {
                Verdict::TooLittleData => "had too little data",
                other => other.words(),
            };
            (count > 0).then(|| format!("{count} {words}"))
        });
        let counted: Vec<_> = counted.collect();
        format!(
            "Of {} statements, {}.",
            self.claims.len(),
            counted.join(", ")
        )
    }
}

/// What there is to make a report from.
pub(super) fn kept(text: &str) -> Result<Kept, String> {
    #[derive(Deserialize)]
    struct Versioned {
        measured: Version,
    }
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    let Versioned {
        measured: Version { version },
    } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!(
            "its version is {version}, this `duet` reads {VERSION}"
        ));
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}
