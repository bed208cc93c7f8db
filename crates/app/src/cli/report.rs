//! `accrue report searches`: what shoppers search for, what they find nothing for, and after what they choose nothing.
//! It reads the log alone, so it also works beside a running server.

use accrue_engine::search_outcomes;
use accrue_store::{LogReader, QueryOutcome, Reformulations};
use serde::Serialize;

use super::output::{columns, count};
use super::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  accrue report searches              the 20 queries of each list
  accrue report searches -n 100 --json

Searches are those of recorded answers (`serve.record`) and of events of the type `search`; what was chosen after one
comes from events that name its words or its `search_id`. An event of the type `search` with the property `results: 0` found nothing.";

#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Searches that found nothing, and searches after which nothing was chosen
    Searches {
        /// Queries in each list
        #[arg(short, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        n: u32,
    },
}

/// What came of the searches of a log.
#[derive(Debug, Serialize)]
struct Report {
    offset: u64,
    searches: u64,
    without_result: u64,
    without_choice: u64,
    /// The queries that found nothing most often.
    unanswered: Vec<Query>,
    /// The queries after which nothing was chosen most often.
    unchosen: Vec<Query>,
}

#[derive(Debug, Serialize)]
struct Query {
    query: String,
    searches: u64,
    without_result: u64,
    without_choice: u64,
    /// What the same shoppers searched for next and chose something after.
    then: Vec<Box<str>>,
}

pub(super) fn run(context: Context, arguments: Arguments) -> anyhow::Result<Exit> {
    let What::Searches { n } = arguments.what;
    let mut log = LogReader::open(context.config.log_place())?;
    let offset = log.end().0;
    let found = search_outcomes(&mut log)?;
    let totals = found.totals();
    let report = Report {
        offset,
        searches: totals.searches,
        without_result: totals.without_result,
        without_choice: totals.searches.saturating_sub(totals.chosen),
        unanswered: most(&found, n as usize, |outcome| outcome.without_result),
        unchosen: most(&found, n as usize, QueryOutcome::without_choice),
    };
    context.output.result(&report, table)?;
    if report.searches == 0 {
        context
            .output
            .note("the log has no search: no recorded answer (`serve.record`) and no event of the type search");
    }
    Ok(Exit::Success)
}

fn most(found: &Reformulations, n: usize, by: impl Fn(&QueryOutcome) -> u64) -> Vec<Query> {
    let query = |(query, outcome): (&str, &QueryOutcome)| {
        let mut then: Vec<_> = outcome.then.iter().collect();
        then.sort_by(|a, b| b.own.len().cmp(&a.own.len()).then(a.query.cmp(&b.query)));
        Query {
            query: query.to_owned(),
            searches: outcome.searches,
            without_result: outcome.without_result,
            without_choice: outcome.without_choice(),
            then: then.into_iter().take(3).map(|then| then.query.clone()).collect(),
        }
    };
    found.most(n, by).into_iter().map(query).collect()
}

fn table(report: &Report) -> String {
    let list = |queries: &[Query]| {
        let mut rows =
            vec![["query", "searches", "without result", "without choice", "then"].map(String::from).to_vec()];
        rows.extend(queries.iter().map(|query| {
            vec![
                // Control characters would move the cursor.
                query.query.replace(char::is_control, " "),
                count(query.searches),
                count(query.without_result),
                count(query.without_choice),
                query.then.join(", "),
            ]
        }));
        columns(&rows)
    };
    format!(
        "{} searches, {} without a result, {} without a choice\n\nmost often without a result\n{}\n\
         most often without a choice\n{}",
        count(report.searches),
        count(report.without_result),
        count(report.without_choice),
        list(&report.unanswered),
        list(&report.unchosen),
    )
}
