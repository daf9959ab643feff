//! Whether what a pair stores balances: both ledgers, what each store's tables say of themselves, and row by row what one has and the
//! other has not.
//!
//! It works while traffic runs: what is on its way explains a difference, and what can't be explained is read again until it settles.

mod ledger; // what was sent, and what became of it, by source and receiver
mod rows; // one store's rows beside the other's
mod store; // a store, in its file or behind its service

use crate::failure::{Failure, Kind};
use duet_channel::store::sqlite::audit::Finding;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

pub(crate) use ledger::Account;
pub(crate) use rows::Compared;
pub(crate) use store::Store;

/// What an audit found.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    /// Whether all is accounted for, and each row is at both ends as it should be.
    pub(crate) balanced: bool,
    /// By source and receiver.
    pub(crate) accounts: Vec<Account>,
    /// By receiver.
    pub(crate) rows: Vec<Compared>,
    /// What differs, and in which store.
    pub(crate) findings: Vec<Finding>,
    /// What could not be told, and why.
    pub(crate) untold: Vec<String>,
}

/// Compares a sender's store with its receivers'.
pub(crate) async fn audit(sender: &Store, receivers: &[Store]) -> Result<Report, Failure> {
    let mut report = Report::default();
    let told = sender.sender(&BTreeMap::new()).await?;
    for said in &told.receivers {
        let Some(receiver) = receivers.iter().find(|it| it.name == said.name) else {
            let why = format!("{} has no store here that can be read", said.name);
            report.untold.push(why);
            continue;
        };
        ledger::compare(sender, receiver, &mut report).await?;
        rows::compare(sender, receiver, &mut report).await?;
    }
    report.findings.extend(told.findings);
    // Each receiver is compared with the same sender, which then says the same of itself.
    let found: BTreeSet<_> = report.findings.drain(..).collect();
    report.findings.extend(found);
    report.balanced = report.findings.is_empty() && report.untold.is_empty();
    Ok(report)
}

impl Report {
    /// What the command ends with.
    pub(crate) fn verdict(&self) -> Result<(), Failure> {
        let plural = |count: usize, what: &str| match count {
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        if !self.findings.is_empty() {
            let what = plural(self.findings.len(), "thing");
            let what = format!("it does not balance: {what} above should not be");
            return Err(Failure::new(Kind::Differs, what));
        }
        match self.untold.first() {
            Some(why) => Err(Failure::new(
                Kind::Untold,
                format!("can't tell whether it balances: {why}"),
            )),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut receivers: Vec<&str> = Vec::new();
        for account in &self.accounts {
            if !receivers.contains(&account.receiver.as_str()) {
                receivers.push(&account.receiver);
            }
        }
        for receiver in receivers {
            let of_it = self.accounts.iter().filter(|it| it.receiver == receiver);
            writeln!(f, "{receiver}: {}", Account::sum(of_it))?;
            if let Some(rows) = self.rows.iter().find(|it| it.receiver == receiver) {
                writeln!(f, "{:1$}  {rows}", "", receiver.len())?;
            }
        }
        for finding in &self.findings {
            let Finding {
                store,
                key,
                source,
                sequence,
                what,
            } = finding;
            write!(f, "{store}: ")?;
            if let Some(key) = key {
                write!(f, "{key}: ")?;
            }
            write!(f, "{what}")?;
            match (source, sequence) {
                (Some(source), Some(sequence)) => write!(f, " ({source}, sequence {sequence})")?,
                (Some(source), None) => write!(f, " ({source})")?,
                (None, _) => {}
            }
            writeln!(f)?;
        }
        for why in &self.untold {
            writeln!(f, "not told: {why}")?;
        }
        if self.balanced {
            writeln!(f, "balanced")?;
        }
        Ok(())
    }
}
