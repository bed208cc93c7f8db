//! `/v1/search`: hits for a text, ordered for the shopper.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use accrue_engine::Answered;
use accrue_serve::filter::Filter;
use accrue_serve::{Degraded, FacetCounts, NumberCounts, RangeCount, SearchAnswer, SearchRequest, ValueCount, Visitor};
use accrue_store::shopper_hash;
use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::body;
use super::caller::Caller;
use super::fields::{FieldNames, Fields, refuse_private};
use super::params::{At, MAX_OFFSET, N, Params};
use super::problem::{Code, Problem, ProblemDocument, overloaded};
use super::recommend::{ArmBody, PERSONS_LEFT_OUT, RecommendedBody, VariantsBody, took_ms};
use super::search_counts::AnsweredSearch;
use super::server::Server;
use super::turns::HeldTurn;

/// Longest text to search for, in bytes.
pub(super) const MAX_QUERY_BYTES: usize = 1024;
/// How far the shopper's own scores may move a hit by default.
const PERSONALISATION: f32 = 0.5;

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"query": "red mug", "user": "u1", "n": 20, "filter": "price:..20"}))]
pub(super) struct SearchBody {
    /// What the shopper typed (also read as `q`). Without words, everything that passes the filter is listed, ordered
    /// by what sells and by what the shopper likes: the page of a category. It may be left out where there is a filter.
    #[serde(alias = "q")]
    query: Option<String>,
    /// The customer.
    #[serde(default, deserialize_with = "accrue_event::sent_id::optional")]
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    #[serde(default, deserialize_with = "accrue_event::sent_id::optional")]
    session: Option<String>,
    /// The kind of device (`phone`, `desktop`), as events name it in their property `device`. It counts where the model
    /// `affinity` is enabled.
    device: Option<String>,
    /// Number of hits: 1 to 1000, 10 if left out.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    n: Option<usize>,
    /// Hits to skip from the top, for the next page: 0 to 10000.
    #[schema(maximum = 10000, default = 0)]
    offset: Option<usize>,
    /// What may be shown.
    filter: Option<String>,
    /// Fields whose values are counted over all matches: `brand`, `category`, `tag`, `price`, `stock`, `currency`,
    /// `locale` or attributes, as a list or with commas between them; at most 20. A condition of the filter that names
    /// only a facet's own field, joined by `AND` and without `NOT`, does not restrict that facet.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["brand", "category", "price"]))]
    facets: FieldNames,
    /// The order of the hits: `price`, `published_at`, `title`, `popularity`, `stock`, `brand`, `id` or an attribute,
    /// each with `:asc` or `:desc`, as a list or with commas between them; at most 4. By score if left out, or
    /// `relevance`. Items without the field come last.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "price:asc")]
    sort: FieldNames,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[schema(inline)]
    variants: VariantsBody,
    /// Whether a word that the catalogue does not have is taken for a typing error: `auto` (if left out) or `off`.
    #[serde(default)]
    #[schema(inline)]
    typo: TypoBody,
    /// How far the shopper's own scores may move a hit (also read as `strength`): 0 is neutral, 1 is strong, 0.5 if left
    /// out.
    #[serde(alias = "personalization", alias = "strength")]
    #[schema(minimum = 0, maximum = 1, default = 0.5)]
    personalisation: Option<f32>,
    /// What the answer says of each hit beside its id: names such as `title`, `price`, `image`, `attributes.colour`, as
    /// a list or with commas between them; `title,price` if left out. A variant has from its product what it lacks.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["title", "price", "image"]))]
    fields: Option<FieldNames>,
    /// Whether each hit comes with its reasons.
    #[serde(default)]
    explain: bool,
}

/// The query parameters of `GET /v1/search`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct SearchParams {
    /// What the shopper typed (also read as `query`). Without words, everything that passes the filter is listed,
    /// ordered by what sells and by what the shopper likes. It may be left out where there is a filter.
    #[serde(alias = "query")]
    #[param(example = "red mug")]
    q: Option<String>,
    /// The customer.
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    session: Option<String>,
    /// The kind of device: `phone`, `desktop`.
    device: Option<String>,
    /// Number of hits: 1 to 1000, 10 if left out.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<usize>,
    /// Hits to skip from the top: 0 to 10000.
    offset: Option<usize>,
    /// What may be shown.
    #[param(example = "price:..20 AND brand:Acme")]
    filter: Option<String>,
    /// Fields whose values are counted over all matches, with commas between them; at most 20.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "brand,category,price")]
    facets: FieldNames,
    /// The order of the hits: fields with `:asc` or `:desc`, with commas between them; at most 4. By score if left out.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "price:asc")]
    sort: FieldNames,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[param(inline)]
    variants: VariantsBody,
    /// Whether a word that the catalogue does not have is taken for a typing error: `auto` (if left out) or `off`.
    #[serde(default)]
    #[param(inline)]
    typo: TypoBody,
    /// How far the shopper's own scores may move a hit: 0 is neutral, 1 is strong, 0.5 if left out.
    #[serde(default)]
    strength: Option<f32>,
    /// The same as `strength`.
    #[serde(default)]
    personalisation: Option<f32>,
    /// What the answer says of each hit beside its id, with commas between the names; `title,price` if left out. A
    /// variant has from its product what it lacks.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "title,price,image")]
    fields: Option<FieldNames>,
    /// Whether each hit comes with its reasons.
    #[serde(default)]
    explain: bool,
}

/// Whether typing errors are corrected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum TypoBody {
    /// Words that the catalogue does not have.
    #[default]
    Auto,
    /// Every word means what it says.
    Off,
}

/// An answer to a search.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SearchAnswerBody {
    /// Id of this answer; send it back as `recommendation_id` with the events that it leads to.
    #[schema(example = "67408f1ab3c2-20")]
    search_id: String,
    /// Version of the models that ordered the hits.
    #[schema(example = 412)]
    version: u64,
    /// Products that match and may be shown; items with `variants=all`.
    #[schema(example = 37)]
    total: usize,
    /// Time inside the server, in milliseconds.
    #[schema(example = 1.3)]
    took_ms: f64,
    /// What could not be done as requested; empty if everything was done. `stale_index`: the search index failed, or
    /// the server has just started with a large catalogue that the index lacks, and until it is filled changes of the
    /// catalogue are missing. `no_encoder`, `no_vectors`, `late_encoder`,
    /// `failed_encoder`, `unknown_language`: meaning could not be compared, so the words alone decide.
    #[schema(value_type = Vec<String>, example = json!([]))]
    degraded: Vec<&'static str>,
    /// What was searched for, if a word of the query was taken for a mistyped one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "hot water bottle")]
    corrected: Option<Box<str>>,
    /// Words of the query that the hits may lack, because nothing that may be shown has all of them; absent if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>, example = json!([]))]
    dropped: Vec<Box<str>>,
    /// The experiment that is running, and the shopper's arm of it; absent if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    experiment: Option<ArmBody>,
    /// Best first, or in the order asked for.
    hits: Vec<RecommendedBody>,
    /// For each facet its values with the number of products that have them; absent if none was asked for.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    facets: BTreeMap<Box<str>, FacetBody>,
}

/// The counts of a facet.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Facet)]
pub(super) enum FacetBody {
    /// The values that most products have, at most 100.
    Values(Vec<ValueBody>),
    /// Of a field of numbers: how they are spread.
    Numbers(NumbersBody),
}

/// How many products have a value.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FacetValue)]
pub(super) struct ValueBody {
    /// The value.
    #[schema(value_type = String, example = "Acme")]
    value: Box<str>,
    /// Products with that value.
    #[schema(example = 12)]
    count: usize,
}

/// How the numbers of a field are spread.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FacetNumbers)]
pub(super) struct NumbersBody {
    /// The least.
    #[schema(example = 2.5)]
    min: Option<f64>,
    /// The greatest.
    #[schema(example = 49.9)]
    max: Option<f64>,
    /// Ranges with round ends that do not overlap, without empty ones.
    ranges: Vec<RangeBody>,
    /// The numbers themselves, if they are at most 50 different ones of an attribute.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<ValueBody>,
}

/// How many products have a number in a range: the filter `price>=10 AND price<20` finds those from 10 to 20.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FacetRange)]
pub(super) struct RangeBody {
    /// The least number that is in the range.
    #[schema(example = 10.0)]
    from: f64,
    /// The least number that is beyond it.
    #[schema(example = 20.0)]
    to: f64,
    /// Products with a number in the range.
    #[schema(example = 7)]
    count: usize,
}

impl From<FacetCounts> for FacetBody {
    fn from(counts: FacetCounts) -> Self {
        let values = counts.values.into_iter().map(|ValueCount { value, count }| ValueBody { value, count }).collect();
        match counts.numbers {
            None => FacetBody::Values(values),
            Some(NumberCounts { min, max, ranges }) => {
                let range = |RangeCount { from, to, count }| RangeBody { from, to, count };
                FacetBody::Numbers(NumbersBody { min, max, ranges: ranges.into_iter().map(range).collect(), values })
            }
        }
    }
}

impl SearchBody {
    /// Without what a caller with a key for browsers may not ask; whether anything was left out.
    fn without_persons(self, caller: &Caller) -> (Self, bool) {
        if caller.may_know_persons() {
            return (self, false);
        }
        let is_changed = self.user.is_some() || self.explain;
        (Self { user: None, explain: false, ..self }, is_changed)
    }
}

impl Server {
    async fn search(
        self: &Arc<Self>,
        body: SearchBody,
        (caller, turn): (Caller, &HeldTurn),
        no_query: Code,
    ) -> Result<Response, Problem> {
        let started = Instant::now();
        let at = At("");
        let fields = body.fields.as_ref().map_or_else(|| Ok(Fields::title_and_price()), |fields| fields.read(at))?;
        let fields = fields.for_caller(&caller);
        body.facets.refuse_private("facets", at, &caller)?;
        body.sort.refuse_private("sort", at, &caller)?;
        let (mut body, is_changed) = body.without_persons(&caller);
        let filter = refuse_private(at.filter(body.filter.as_deref(), &self.engine)?, &caller)?;
        let Some(query) = body.query.take().or_else(|| filter.is_some().then(String::new)) else {
            let missing = "say what to search for in `query`, or `q`, or give a filter to list what passes it";
            return Err(Problem::new(no_query, missing).field("query"));
        };
        let request = self.search_request(body, query, filter)?;
        let depth = request.offset.saturating_add(request.n);
        caller.charge_page(depth)?;
        let search_id = self.ids.next();
        // The next pages of a search are no further searches.
        let counted = (request.offset == 0).then(|| request.query.clone());
        let visitor = request.visitor.shopper().map(|shopper| shopper_hash(&shopper));
        let has_filter = request.filter.is_some();
        let search = self.engine.start_search_of(caller.asker(), request)?;
        if search.is_waiting() && !turn.wait_without(search.ready()).await {
            return Err(overloaded("too many pages at a time"));
        }
        let server = Arc::clone(self);
        let page = move || {
            let Answered { answer, arm } =
                caller.filtering(has_filter, || server.engine.finish_search(&search_id, search))?;
            let SearchAnswer { version, total, mut degraded, hits, facets, corrected, dropped, .. } = answer;
            degraded.extend(is_changed.then_some(PERSONS_LEFT_OUT));
            let is_telling = total > 0 || !degraded.contains(&Degraded::StaleIndex.name());
            if let Some(query) = counted.filter(|_| is_telling) {
                let asker = caller.asker();
                let answered = AnsweredSearch { asker, query: &query, visitor, found_nothing: total == 0 };
                server.searches.add(&answered, server.engine.n_erasures(), started);
                server.metrics.searches_without_result.fetch_add(u64::from(total == 0), Ordering::Relaxed);
            }
            let experiment = arm.as_ref().map(ArmBody::from);
            let hits = fields.of(&server.engine, hits);
            let facets = facets.into_iter().map(|counts| (counts.name.clone(), counts.into())).collect();
            let took_ms = took_ms(started);
            Ok(Json(SearchAnswerBody {
                search_id,
                version,
                total,
                took_ms,
                degraded,
                corrected,
                dropped,
                experiment,
                hits,
                facets,
            }))
        };
        self.long_pages.compute(depth, turn, page).await
    }

    /// What a body asks for, with its query and filter as they were read.
    fn search_request(
        &self,
        body: SearchBody,
        query: String,
        filter: Option<Filter>,
    ) -> Result<SearchRequest, Problem> {
        let at = At("");
        at.text("query", &query, MAX_QUERY_BYTES)?;
        Ok(SearchRequest {
            query,
            visitor: Visitor {
                user: at.id_if("user", body.user.as_deref())?,
                session: at.id_if("session", body.session.as_deref())?,
            },
            device: at.name("device", body.device)?,
            n: at.count("n", body.n, 10, N)?,
            offset: at.count("offset", body.offset, 0, 0..=MAX_OFFSET)?,
            filter,
            facets: body.facets.facets(at, &self.engine)?,
            sort: body.sort.sort(at, &self.engine)?,
            grouping: body.variants.into(),
            typo: body.typo == TypoBody::Auto,
            personalisation: at.share("personalisation", body.personalisation, PERSONALISATION)?,
            part: None,
            meaning: None,
            near: Vec::new(),
            explain: body.explain,
        })
    }
}

/// Search the catalogue
///
/// For a key with the scope `search` and without `read`, `user` and `explain` are left out, and `degraded` says
/// `persons_left_out`.
#[utoipa::path(
    post,
    path = "/v1/search",
    tag = "serve",
    request_body = SearchBody,
    responses(
        (status = 200, description = "Hits, best first", body = SearchAnswerBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn post_search(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    body::Json(body): body::Json<SearchBody>,
) -> Result<Response, Problem> {
    server.search(body, (caller, &turn), Code::InvalidBody).await
}

/// Search the catalogue with query parameters
#[utoipa::path(
    get,
    path = "/v1/search",
    tag = "serve",
    params(SearchParams),
    responses(
        (status = 200, description = "Hits, best first", body = SearchAnswerBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn get_search(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    Params(params): Params<SearchParams>,
) -> Result<Response, Problem> {
    let SearchParams { q: query, user, session, device, n, offset, filter, facets, sort, .. } = params;
    let SearchParams { variants, typo, strength, personalisation, fields, explain, .. } = params;
    let strength = match (strength, personalisation) {
        (Some(strength), Some(other)) if strength != other => {
            let detail = "strength and personalisation are the same, and have different values";
            return Err(Problem::new(Code::InvalidQuery, detail).field("strength"));
        }
        (Some(strength), _) => Some(At("").share("strength", Some(strength), PERSONALISATION)?),
        (None, personalisation) => personalisation,
    };
    let body = SearchBody {
        query,
        user,
        session,
        device,
        n,
        offset,
        filter,
        facets,
        sort,
        variants,
        typo,
        personalisation: strength,
        fields,
        explain,
    };
    server.search(body, (caller, &turn), Code::InvalidQuery).await
}
