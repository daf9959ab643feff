//! Which receivers are meant, and which of them have letters that fit.

use super::ask::{ANSWER, Receiver, Refused};
use crate::{
    failure::{Failure, Kind},
    internal::client_within,
    place::{Pair, Place},
};
use duet_web::dead_letters::{Cause, Filter, State};
use futures::future::join_all;

/// Where the letters are.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct At {
    /// Only at this receiver; in a cluster one of its pods, or its component
    #[arg(long, value_name = "NAME")]
    receiver: Option<String>,
    #[command(flatten)]
    place: Place,
}

/// The pair, and who of it receives.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) pair: Pair,
    pub(super) receivers: Vec<Holding>,
}

/// A receiver, and what it has that fits.
#[derive(Debug)]
pub(super) struct Holding {
    /// The service; in a cluster the pod.
    pub(super) name: String,
    /// None if it can't be asked.
    pub(super) receiver: Option<Receiver>,
    /// By cause; or why it can't tell.
    pub(super) causes: Result<Vec<Cause>, String>,
}

impl At {
    /// Asks every receiver that is meant how many letters it has that fit.
    pub(super) async fn ask(&self, filter: &Filter) -> Result<Asked, Failure> {
        let pair = self.place.pair().await?;
        let http = client_within(ANSWER);
        let named = |it: &&crate::place::Participant| match &self.receiver {
            Some(name) => *name == it.name || *name == it.service,
            None => it.service != "reaction",
        };
        let meant: Vec<_> = pair.participants.iter().filter(named).collect();
        let asked = meant.iter().map(async |it| {
            let receiver = it.internal.clone().map(|internal| Receiver {
                name: it.name.clone(),
                internal,
                http: http.clone(),
            });
            let (receiver, causes) = match receiver {
                Ok(receiver) => {
                    let causes = receiver.causes(filter).await;
                    (Some(receiver), causes)
                }
                Err(why) => (None, Err(Refused::Away(why))),
            };
            if causes.as_ref().is_err_and(Refused::is_no_receiver) {
                return None;
            }
            Some(Holding {
                name: it.name.clone(),
                receiver,
                causes: causes.map_err(|why| why.to_string()),
            })
        });
        let receivers: Vec<_> = join_all(asked).await.into_iter().flatten().collect();
        if receivers.is_empty() {
            let there = pair.participants.iter().map(|it| it.name.as_str());
            let there = there.collect::<Vec<_>>().join(", ");
            let what = match &self.receiver {
                Some(name) => format!("{name} is no receiver here"),
                None => "nothing here keeps dead letters".to_owned(),
            };
            let failure = Failure::new(Kind::NotFound, what);
            return Err(failure.hint(format!("There are: {there}.")));
        }
        Ok(Asked { pair, receivers })
    }
}

impl Asked {
    /// The one receiver that is to do something to what it has; none if none has any. The ways to it are kept by [`Asked::pair`].
    ///
    /// # Errors
    /// If several have some and none was named, or one can't be asked.
    pub(super) fn one(&self) -> Result<Option<&Holding>, Failure> {
        for it in &self.receivers {
            if let Err(why) = &it.causes {
                let failure = Failure::new(Kind::NotRunning, format!("{}: {why}", it.name));
                return Err(failure.hint("Name another receiver with --receiver NAME."));
            }
        }
        let mut some = self.receivers.iter().filter(|it| it.count() > 0);
        let first = some.next();
        let others: Vec<_> = some.map(|it| it.name.as_str()).collect();
        match first {
            Some(first) if !others.is_empty() => {
                let what = format!("{} and {} have some", first.name, others.join(" and "));
                Err(Failure::new(Kind::Usage, what).hint("Name one with --receiver NAME."))
            }
            first => Ok(first),
        }
    }

    /// The failure to end with where a receiver could not be asked.
    pub(super) fn all_told(&self) -> Result<(), Failure> {
        let silent = self.receivers.iter().filter(|it| it.causes.is_err());
        let silent: Vec<_> = silent.map(|it| it.name.as_str()).collect();
        match silent.is_empty() {
            true => Ok(()),
            false => Err(Failure::new(
                Kind::NotRunning,
                format!("not ready: {}", silent.join(", ")),
            )),
        }
    }
}

impl Holding {
    /// How many letters fit.
    pub(super) fn count(&self) -> u64 {
        let causes = self.causes.iter().flatten();
        causes.map(|it| it.parked + it.dead).sum()
    }
}

/// `3 dead, 1 parked`; what there is none of is left out.
pub(super) fn counted(dead: u64, parked: u64) -> String {
    let numbers = [(dead, State::Dead), (parked, State::Parked)];
    let some = numbers.iter().filter(|(number, _)| *number > 0);
    let some: Vec<_> = some
        .map(|(number, state)| format!("{number} {}", state.as_str()))
        .collect();
    match some.is_empty() {
        true => "none".to_owned(),
        false => some.join(", "),
    }
}
