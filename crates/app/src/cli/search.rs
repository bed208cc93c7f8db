//! `accrue search proposals`: what search proposes to repair in itself. Listing reads the folder, also beside a
//! running server; deciding needs the folder for itself.

use accrue_engine::{ProposalList, at_rest, proposals_of, search_outcomes};
use accrue_serve::repair::{Proposal, Refused, synonym_line};
use accrue_serve::search::{SearchIndex, Synonyms};
use accrue_store::{LogReader, SearchProposal};
use serde::Serialize;

use super::output::columns;
use super::{Context, Exit, engine_of};

const EXAMPLES: &str = "\
Examples:
  accrue search proposals                             what passed the gate, with its evidence
  accrue search proposals accept 5be1a0c92f31d0e4     switch one on
  accrue search proposals reject 5be1a0c92f31d0e4     or off, for good

Beside a running server the decisions are POST /v1/search/proposals/ID/accept and …/reject.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Repairs that the log shows to be needed
    Proposals {
        #[command(subcommand)]
        act: Option<Act>,
    },
}

#[derive(Debug, clap::Subcommand)]
enum Act {
    /// Switch a proposal on
    Accept {
        /// Its id
        id: String,
    },
    /// Switch a proposal off, and do not make it again
    Reject {
        /// Its id
        id: String,
    },
}

/// The list as JSON.
#[derive(Debug, Serialize)]
struct Listed {
    tested: usize,
    unproven: usize,
    without_gain: usize,
    refused: Vec<Refused>,
    open: Vec<Proposal>,
    decided: Vec<SearchProposal>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let What::Proposals { act } = arguments.what;
    match act {
        None => list(&context),
        Some(Act::Accept { id }) => decide(&context, &id, true),
        Some(Act::Reject { id }) => decide(&context, &id, false),
    }
}

fn list(context: &Context) -> anyhow::Result<Exit> {
    let Context { config, output } = context;
    let found = search_outcomes(&mut LogReader::open(config.log_place())?)?;
    let settings = &config.engine.search;
    let of_file = match &settings.synonyms {
        Some(path) => Synonyms::parse(&accrue_engine::read_text(path)?)?,
        None => Synonyms::default(),
    };
    let ProposalList { open, decided } = at_rest(&config.data, &config.engine, |shop| {
        // The index of the folder may be in use by a server.
        let mut index = SearchIndex::open(None, settings.clone())?;
        for item in 0..shop.facts.items.len() as u32 {
            if let Some(described) = shop.facts.described(item) {
                index.upsert(item, &described.to_item())?;
            }
        }
        index.commit()?;
        let reader = index.reader();
        reader.set_synonyms(&of_file.and(Synonyms::parse(&shop.facts.synonyms)?));
        anyhow::Ok(proposals_of(&shop, &reader, &found, &settings.repair)?)
    })??;
    let listed = Listed {
        tested: open.tested,
        unproven: open.unproven,
        without_gain: open.without_gain,
        refused: open.refused,
        open: open.proposals,
        decided,
    };
    output.result(&listed, table)?;
    Ok(Exit::Success)
}

fn decide(context: &Context, id: &str, is_accepted: bool) -> anyhow::Result<Exit> {
    let engine = engine_of(context)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let decided = runtime.block_on(engine.decide_proposal(id, is_accepted));
    engine.close()?;
    context.output.result(&decided?, |decided| {
        let said = if decided.is_accepted { "accepted" } else { "rejected" };
        format!("{said}: {}\n", words(decided.kind.name(), &decided.from, &decided.to))
    })?;
    Ok(Exit::Success)
}

fn words(kind: &str, from: &str, to: &str) -> String {
    format!("{kind} {from:?} → {to:?}")
}

fn table(listed: &Listed) -> String {
    let header = ["id", "kind", "from", "to", "shoppers", "of", "share", "gain", "holds as"];
    let mut rows = vec![header.map(String::from).to_vec()];
    rows.extend(listed.open.iter().map(|proposal| {
        let Proposal { id, kind, from, to, shoppers, of, share, gain, .. } = proposal;
        let holds_as = synonym_line(*kind, from, to).unwrap_or_else(|| "a rule that raises the category".to_owned());
        let figures = [shoppers.to_string(), of.to_string(), format!("{share:.2}"), format!("{gain:+.2}")];
        let texts = [id.to_string(), kind.name().to_owned(), from.to_string(), to.to_string()];
        texts.into_iter().chain(figures).chain([holds_as]).collect()
    }));
    let mut text = columns(&rows);
    let Listed { tested, unproven, without_gain, .. } = listed;
    text +=
        &format!("{tested} tested: {unproven} are no more than chance or work today, {without_gain} would not help\n");
    for decided in &listed.decided {
        let said = match (decided.is_accepted, decided.is_automatic) {
            (true, true) => "accepted by itself",
            (true, false) => "accepted",
            (false, _) => "rejected",
        };
        text += &format!("{} {said}: {}\n", decided.id, words(decided.kind.name(), &decided.from, &decided.to));
    }
    text
}
