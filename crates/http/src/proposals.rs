//! `/v1/search/proposals`: what search proposes to repair in itself, and what was decided about it.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use accrue_engine::ProposalList;
use accrue_serve::repair::{Proposal, synonym_line};
use accrue_store::{ProposalKind, SearchProposal};
use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::params::Id;
use super::problem::{Code, Problem, ProblemDocument};
use super::server::Server;

/// How often a server that repairs itself looks for proposals.
const EVERY: Duration = Duration::from_secs(600);

/// Proposals of search.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchProposals)]
pub(super) struct ProposalsBody {
    /// What passed the gate and was not decided about, with most shoppers first.
    pub(super) open: Vec<OpenBody>,
    /// What was decided about.
    pub(super) decided: Vec<DecidedBody>,
    /// Pairs of words that enough shoppers showed, so that they were tested.
    #[schema(example = 31)]
    pub(super) tested: usize,
    /// Of these, those that were no more than chance, or whose words work today.
    #[schema(example = 27)]
    pub(super) unproven: usize,
    /// Of these, those that would have made past searches no better, or worse.
    #[schema(example = 1)]
    pub(super) without_gain: usize,
}

/// A proposal that was not decided about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenSearchProposal)]
pub(super) struct OpenBody {
    /// Names it in decisions.
    #[schema(value_type = String, example = "5be1a0c92f31d0e4")]
    pub(super) id: Box<str>,
    #[serde(flatten)]
    pub(super) words: WordsBody,
    /// Different shoppers of the shop's own events who show it.
    #[schema(example = 14)]
    pub(super) shoppers: usize,
    /// The same of events of published keys.
    #[schema(example = 0)]
    pub(super) published: usize,
    /// Different shoppers who searched on after those words, or who chose after the query.
    #[schema(example = 17)]
    pub(super) of: usize,
    /// The lower bound of their share.
    #[schema(example = 0.48)]
    pub(super) share: f32,
    /// How much better past searches become, as a difference of NDCG@10.
    #[schema(example = 0.61)]
    pub(super) gain: f32,
    /// Some of the queries in which it was seen.
    #[schema(value_type = Vec<String>, example = json!(["red brolly"]))]
    pub(super) queries: Vec<Box<str>>,
}

/// What a proposal says.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SearchProposalWords)]
pub(super) struct WordsBody {
    /// `synonym`, `correction`, `split`, `title` (a word misspelt in titles) or `category`.
    #[schema(example = "synonym")]
    pub(super) kind: &'static str,
    /// What shoppers search for.
    #[schema(value_type = String, example = "brolly")]
    pub(super) from: Box<str>,
    /// What is to be found too: other words; of `category` the category whose items are raised.
    #[schema(value_type = String, example = "umbrella")]
    pub(super) to: Box<str>,
    /// The line that is added to the synonyms; absent where a rule of the shop is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "brolly => umbrella")]
    pub(super) synonyms: Option<String>,
}

/// A proposal that was decided about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DecidedSearchProposal)]
pub(super) struct DecidedBody {
    /// Names it in decisions.
    #[schema(value_type = String, example = "5be1a0c92f31d0e4")]
    pub(super) id: Box<str>,
    #[serde(flatten)]
    pub(super) words: WordsBody,
    /// Whether it was accepted.
    pub(super) accepted: bool,
    /// Whether the server decided by itself (`search.repair.automatic`).
    pub(super) automatic: bool,
}

impl WordsBody {
    fn new(kind: ProposalKind, from: &str, to: &str) -> Self {
        Self { kind: kind.name(), from: from.into(), to: to.into(), synonyms: synonym_line(kind, from, to) }
    }
}

impl From<Proposal> for OpenBody {
    fn from(proposal: Proposal) -> Self {
        let words = WordsBody::new(proposal.kind, &proposal.from, &proposal.to);
        let Proposal { id, shoppers, published, of, share, gain, queries, .. } = proposal;
        Self { id, words, shoppers, published, of, share, gain, queries }
    }
}

impl From<SearchProposal> for DecidedBody {
    fn from(decided: SearchProposal) -> Self {
        let words = WordsBody::new(decided.kind, &decided.from, &decided.to);
        Self { id: decided.id, words, accepted: decided.is_accepted, automatic: decided.is_automatic }
    }
}

impl Server {
    /// The proposals, computed on a thread that may take long.
    pub(super) async fn proposals(&self) -> Result<ProposalsBody, Problem> {
        let engine = self.engine.clone();
        let found = tokio::task::spawn_blocking(move || engine.search_proposals()).await;
        let ProposalList { open, decided } = found.map_err(|_| stopped())??;
        Ok(ProposalsBody {
            open: open.proposals.into_iter().map(Into::into).collect(),
            decided: decided.into_iter().map(Into::into).collect(),
            tested: open.tested,
            unproven: open.unproven,
            without_gain: open.without_gain,
        })
    }
}

pub(super) fn stopped() -> Problem {
    Problem::new(Code::Closing, "the server is shutting down")
}

/// In a server with `search.repair.automatic`, accepts from time to time what passes the gate. It never returns.
pub(super) async fn repair(server: &Server) {
    if !server.engine.repairs_itself() {
        pending::<()>().await;
    }
    loop {
        tokio::time::sleep(EVERY).await;
        let engine = server.engine.clone();
        match tokio::task::spawn_blocking(move || engine.accept_proposals()).await {
            Ok(Ok(accepted)) => accepted.iter().for_each(|proposal| {
                tracing::info!(kind = proposal.kind.name(), from = %proposal.from, to = %proposal.to, "search repaired itself");
            }),
            Ok(Err(error)) => tracing::warn!(%error, "search could not repair itself"),
            Err(_) => {}
        }
    }
}

/// What search proposes to repair in itself
///
/// Words that shoppers replaced by others before they chose something, words misspelt in titles, and categories whose
/// items are chosen after a query; each with its evidence. The log is read for it when it is asked for, which takes
/// seconds for the first time in a large shop.
#[utoipa::path(
    get,
    path = "/v1/search/proposals",
    tag = "operate",
    responses(
        (status = 200, description = "All proposals", body = ProposalsBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn list(State(server): State<Arc<Server>>) -> Result<Json<ProposalsBody>, Problem> {
    Ok(Json(server.proposals().await?))
}

/// Accept a proposal of search
///
/// It holds from the next answer on, as a line of the shop's synonyms or as a rule of the shop.
#[utoipa::path(
    post,
    path = "/v1/search/proposals/{id}/accept",
    tag = "operate",
    params(("id" = String, Path, description = "The id of a proposal")),
    responses(
        (status = 200, description = "The decision", body = DecidedBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn accept(State(server): State<Arc<Server>>, Id(id): Id) -> Result<Json<DecidedBody>, Problem> {
    Ok(Json(server.engine.decide_proposal(&id, true).await?.into()))
}

/// Reject a proposal of search, or switch off one that was accepted
///
/// It is not proposed again. Accepting it later switches it on.
#[utoipa::path(
    post,
    path = "/v1/search/proposals/{id}/reject",
    tag = "operate",
    params(("id" = String, Path, description = "The id of a proposal")),
    responses(
        (status = 200, description = "The decision", body = DecidedBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn reject(State(server): State<Arc<Server>>, Id(id): Id) -> Result<Json<DecidedBody>, Problem> {
    Ok(Json(server.engine.decide_proposal(&id, false).await?.into()))
}
