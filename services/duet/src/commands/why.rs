//! `duet why POST USER`: the life of a reaction's latest event in sentences, from the stores.

use super::{on_one_thread, print, print_json};
use crate::{
    failure::{Failure, Kind},
    place::Place,
    why::{self, Facts, Sentence},
};
use duet_channel::life::Name;
use duet_reaction::domain::Pair;
use duet_web::ids::{PostId, UserId};
use serde::Serialize;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The post's id
    post: PostId,
    /// The id of the user whose reaction to it is meant
    user: UserId,
    /// An event of theirs, by its name as dead letters, traces and audits have it: how that one stands, too
    #[arg(long, value_name = "ID", value_parser = event)]
    event: Option<Name>,
    #[command(flatten)]
    place: Place,
    /// Print JSON: the facts and the sentences
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Told<'a> {
    #[serde(flatten)]
    facts: &'a Facts,
    sentences: Vec<Sentence>,
}

fn event(text: &str) -> Result<Name, String> {
    let id = text.parse().map_err(|error| format!("{error}"))?;
    Ok(Name(id))
}

pub(crate) fn run(options: Options) -> Result<(), Failure> {
    let pair = Pair {
        post: options.post,
        user: options.user,
    };
    let facts = on_one_thread(why::ask(&options.place, &pair, options.event))?;
    let sentences = why::sentences(&facts);
    let silent = facts.silent();
    if options.json {
        let facts = &facts;
        print_json(&Told { facts, sentences })?;
    } else {
        for sentence in sentences {
            print(format_args!("{sentence}\n"));
        }
    }
    match silent.is_empty() {
        true => Ok(()),
        false => {
            let what = format!("not all could be asked: {}", silent.join(", "));
            Err(Failure::new(Kind::NotRunning, what))
        }
    }
}
