//! Recommendations for a shopper, and for a page about items.

use std::sync::Arc;
use std::time::Instant;

use accrue_engine::{Answered, Asker, Engine, Refused};
use accrue_event::{EventType, RawEvent, RawValue};
use accrue_serve::{IncompleteItems, RecommendRequest, Seen, Visitor};
use axum::extract::State;
use axum::response::Response;
use axum::{Extension, Json};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(super) use super::answer::{ArmBody, PERSONS_LEFT_OUT, RecommendedBody, VariantsBody, took_ms};
use super::answer::{EVENTS_IGNORED, IncompleteBody, RecommendationBody};
use super::body;
use super::caller::Caller;
use super::fields::{FieldNames, Fields, refuse_private};
use super::ingested::RefusedBody;
use super::params::{At, Id, MAX_OFFSET, N, Params};
use super::problem::{Problem, ProblemDocument};
use super::schema::EventRecord;
use super::server::Server;
use super::turns::HeldTurn;

/// Items that a page may be about, or that a request may exclude.
const MAX_ITEMS: usize = 1000;
/// Events that a request may carry.
const MAX_EVENTS: usize = 1000;
/// Requests of a batch.
const MAX_REQUESTS: usize = 100;

/// Reads `keep`, `drop`, or `drop:` with the types of events whose items are left out, which have to exist.
pub(super) fn seen(at: At<'_>, text: Option<&str>, engine: &Engine) -> Result<Seen, Problem> {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else { return Ok(Seen::AsScene) };
    let types = text.strip_prefix("drop:").into_iter().flat_map(|types| types.split(','));
    at.list("seen", types.take(Seen::MAX_TYPES + 1).count(), Seen::MAX_TYPES)?;
    let seen = Seen::read(text).ok_or_else(|| {
        at.fault("seen", &format!("must be keep, drop, or drop: with types such as drop:purchase, not {text:?}"))
    })?;
    let Seen::DropTypes(types) = &seen else { return Ok(seen) };
    for event_type in types {
        let name = event_type.to_string();
        if matches!(event_type, EventType::Impression | EventType::Search) {
            return Err(at.fault("seen", &format!("{name} is no choice of an item, and leaves nothing out")));
        }
        if engine.with_shop(|shop| shop.facts.type_code(event_type).is_none()) {
            let built_in = EventType::BUILT_IN.iter().map(EventType::name).collect::<Vec<_>>().join(", ");
            let fault = format!("{name:?} is no type of event here; the built-in ones are {built_in}");
            return Err(at.fault("seen", &fault));
        }
    }
    Ok(seen)
}

/// The kind of page, in lower case; none if it is empty.
fn scene(at: At<'_>, scene: Option<String>, seen: &Seen, engine: &Engine) -> Result<Option<Box<str>>, Problem> {
    let Some(scene) = scene else { return Ok(None) };
    at.text("scene", &scene, 256)?;
    let scene = scene.trim().to_lowercase();
    let drops_bought = match seen {
        Seen::AsScene | Seen::Keep => false,
        Seen::Drop => true,
        Seen::DropTypes(types) => types.contains(&EventType::Purchase),
    };
    if drops_bought && engine.with_shop(|shop| shop.scenes.has_only_bought(&scene)) {
        let fault = format!("leaves out what was bought, and the scene `{scene}` has nothing else; say keep");
        return Err(at.fault("seen", &fault));
    }
    Ok((!scene.is_empty()).then(|| scene.into()))
}

/// A request for recommendations. Without a user and a session, it is answered with what is popular in the whole shop.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({
    "user": "u1", "session": "s1", "items": ["sku-9"], "n": 10, "filter": "price:10..20 AND NOT category:used",
    "seen": "drop", "explain": true
}))]
pub(super) struct RecommendBody {
    /// The customer.
    #[serde(default, deserialize_with = "accrue_event::sent_id::optional")]
    user: Option<String>,
    /// The visit; alone, it identifies a guest.
    #[serde(default, deserialize_with = "accrue_event::sent_id::optional")]
    session: Option<String>,
    /// The kind of page, which decides where candidates come from and how they are put in order: `GET /v1/scenes`
    /// lists them. `home` keeps places for what the shopper has not bought yet: as large a part as first purchases are
    /// expected to be of what this shopper buys next. `again` ("buy it again") has only what the shopper bought and did
    /// not send back. `product`, `basket`, `category`, `search` and `email` have the order by score until the shop
    /// says otherwise. What is chosen in a scene that events name in their property `scene` counts where the model
    /// `affinity` is enabled.
    #[schema(example = "home")]
    scene: Option<String>,
    /// The kind of device (`phone`, `desktop`), as events name it in their property `device`. It counts where the model
    /// `affinity` is enabled.
    device: Option<String>,
    /// The search text that the page stands beside, for scenes such as `search`: campaigns may be for it, and it counts
    /// where the model `affinity` is enabled.
    #[schema(example = "red mug")]
    query: Option<String>,
    /// Items that the page is about (a product page, a cart): read as if just viewed.
    #[serde(default, deserialize_with = "accrue_event::sent_id::list")]
    items: Vec<String>,
    /// A history given inline, oldest first; if present, it replaces the stored one. It passes the same check as events
    /// that are sent in, and is not kept. `id`, `user` and `session` are not needed and not read.
    #[schema(value_type = Option<Vec<EventRecord>>)]
    events: Option<Vec<RawEvent>>,
    /// Number of items: 1 to 1000, 10 if left out.
    #[schema(minimum = 1, maximum = 1000, default = 10)]
    n: Option<usize>,
    /// Items to skip from the top, for the next page: 0 to 10000. All pages are cut from one list of at most 10000
    /// places. Of a page that reaches beyond its end the rest is missing, and `degraded` says `too_deep`.
    #[schema(maximum = 10000, default = 0)]
    offset: Option<usize>,
    /// What may be shown, such as `price:10..20 AND brand:Acme AND NOT category:used`.
    filter: Option<String>,
    /// Never show these.
    #[serde(default, deserialize_with = "accrue_event::sent_id::list")]
    exclude: Vec<String>,
    /// A name for this visit, or this page view, of the client's own: what an answer of another `scene` with the same
    /// name shows is not shown again. Remembered for the latest 10000 names, in memory.
    #[schema(example = "s1")]
    visit: Option<String>,
    /// What to do with items chosen before, if the scene does not decide it: `keep`, `drop`, or `drop:` with types of events, such as
    /// `drop:purchase` or `drop:purchase,cart`: items with such an event are left out, others stay. A return cancels
    /// its purchase. Whatever is said here, a disliked item is left out, and an item that was sent back comes last,
    /// until a later favorite, cart or purchase.
    #[schema(example = "drop:purchase")]
    seen: Option<String>,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[schema(inline)]
    variants: VariantsBody,
    /// Whether items at price 0 or without a title may be recommended, where others have a price or a title: `hide` or
    /// `show`; what `catalogue.incomplete` of the configuration says if left out. Search finds them in any case.
    #[schema(inline)]
    incomplete: Option<IncompleteBody>,
    /// How much diversity weighs against score: 0 to 1; what the scene says if left out.
    #[schema(minimum = 0, maximum = 1)]
    diversity: Option<f32>,
    /// What the answer says of each item beside its id: names such as `title`, `price`, `image`, `attributes.colour`,
    /// as a list or with commas between them. A variant has from its product what it lacks.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>, example = json!(["title", "price", "image"]))]
    fields: FieldNames,
    /// Whether each item comes with its reasons.
    #[serde(default)]
    explain: bool,
}

impl RecommendBody {
    /// Without what a caller with a key for browsers may not ask; whether anything was left out.
    fn without_persons(self, caller: &Caller) -> (Self, bool) {
        if caller.may_know_persons() {
            return (self, false);
        }
        let is_changed = self.user.is_some() || self.explain;
        (Self { user: None, explain: false, ..self }, is_changed)
    }

    /// The request in plain values, within its bounds; `at` is its position in the body.
    fn into_request(self, at: At<'_>, engine: &Engine) -> Result<Asked, Problem> {
        let fields = self.fields.read(at)?;
        let visitor = Visitor {
            user: at.id_if("user", self.user.as_deref())?,
            session: at.id_if("session", self.session.as_deref())?,
        };
        let seen = seen(at, self.seen.as_deref(), engine)?;
        let scene = scene(at, self.scene, &seen, engine)?;
        let (events, ignored) = match self.events {
            None => (None, Vec::new()),
            Some(events) => {
                at.list("events", events.len(), MAX_EVENTS)?;
                let (history, ignored) = engine.judge_inline(of_visitor(events, &visitor));
                (Some(history), ignored)
            }
        };
        let request = RecommendRequest {
            events,
            scene,
            device: at.name("device", self.device)?,
            query: at.name("query", self.query)?.filter(|query| !query.trim().is_empty()),
            items: at.items("items", &self.items, MAX_ITEMS)?,
            n: at.count("n", self.n, 10, N)?,
            offset: at.count("offset", self.offset, 0, 0..=MAX_OFFSET)?,
            filter: at.filter(self.filter.as_deref(), engine)?,
            exclude: at.items("exclude", &self.exclude, MAX_ITEMS)?,
            visit: at.name("visit", self.visit)?.filter(|visit| !visit.trim().is_empty()),
            seen,
            grouping: self.variants.into(),
            incomplete: self.incomplete.map(IncompleteItems::from),
            diversity: self.diversity.map(|diversity| at.share("diversity", Some(diversity), 0.0)).transpose()?,
            part: None,
            n_on_sale: None,
            lately_sponsored: Vec::new(),
            may_be_sponsored: true,
            explore: None,
            new_trial: None,
            explain: self.explain,
            visitor,
        };
        Ok(Asked { request, ignored, fields })
    }
}

/// A request in plain values.
struct Asked {
    request: RecommendRequest,
    /// Inline events that the check refused.
    ignored: Vec<Refused>,
    fields: Fields,
}

impl Asked {
    /// How many items there are from the top of the list to the end of the page.
    fn depth(&self) -> usize {
        self.request.offset.saturating_add(self.request.n)
    }
}

/// Inline events with the visitor as their user, because the check needs one.
fn of_visitor(mut events: Vec<RawEvent>, visitor: &Visitor) -> Vec<RawEvent> {
    let text = |id: Option<&str>| id.map_or(RawValue::Null, RawValue::text);
    let user = text(visitor.user.as_ref().map(|user| user.as_str()));
    let session = text(visitor.session.as_ref().map(|session| session.as_str()));
    for event in &mut events {
        event.id = RawValue::Null;
        event.user = user.clone();
        // The history of a visitor without an id is checked as a guest's.
        event.session = if user == RawValue::Null && session == RawValue::Null {
            RawValue::text("inline")
        } else {
            session.clone()
        };
    }
    events
}

impl Server {
    /// Answers a request.
    fn recommend(&self, asker: Asker, asked: Asked, started: Instant) -> Result<RecommendationBody, Problem> {
        let Asked { request, ignored, fields } = asked;
        let recommendation_id = self.ids.next();
        let Answered { answer: mut recommendation, arm } =
            self.engine.recommend_to(asker, &recommendation_id, request)?;
        if !ignored.is_empty() {
            recommendation.degraded.push(EVENTS_IGNORED);
        }
        let mut body = self.recommendation(recommendation_id, recommendation, &fields, started);
        body.experiment = arm.as_ref().map(ArmBody::from);
        body.ignored_events = ignored.into_iter().map(RefusedBody::from).collect();
        Ok(body)
    }
}

/// Recommend items
///
/// For a key with the scope `search` and without `read`, `user` and `explain` are left out, and `degraded` says
/// `persons_left_out`: such a key stands in pages, and everybody could ask about everybody. A `session` is used.
#[utoipa::path(
    post,
    path = "/v1/recommend",
    tag = "serve",
    request_body = RecommendBody,
    responses(
        (status = 200, description = "Items, best first", body = RecommendationBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn recommend(
    State(server): State<Arc<Server>>,
    Extension(caller): Extension<Caller>,
    Extension(turn): Extension<HeldTurn>,
    body::Json(body): body::Json<RecommendBody>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let (body, is_changed) = body.without_persons(&caller);
    let mut asked = body.into_request(At(""), &server.engine)?;
    asked.fields = asked.fields.for_caller(&caller);
    asked.request.filter = refuse_private(asked.request.filter, &caller)?;
    let depth = asked.depth();
    caller.charge_page(depth)?;
    let has_filter = asked.request.filter.is_some();
    let answering = Arc::clone(&server);
    let page = move || {
        let mut answer = caller.filtering(has_filter, || answering.recommend(caller.asker(), asked, started))?;
        answer.degraded.extend(is_changed.then_some(PERSONS_LEFT_OUT));
        Ok(Json(answer))
    };
    server.long_pages.compute(depth, &turn, page).await
}

/// The query parameters of `GET /v1/recommend/{user}`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RecommendParams {
    /// The visit.
    session: Option<String>,
    /// The kind of page, of those that `GET /v1/scenes` lists: `home` keeps places for what the shopper has not bought
    /// yet, `again` has only what they bought.
    #[param(example = "home")]
    scene: Option<String>,
    /// The kind of device: `phone`, `desktop`.
    device: Option<String>,
    /// The search text that the page stands beside.
    query: Option<String>,
    /// Number of items: 1 to 1000, 10 if left out.
    #[param(minimum = 1, maximum = 1000)]
    n: Option<usize>,
    /// Items to skip from the top: 0 to 10000.
    offset: Option<usize>,
    /// What may be shown.
    #[param(example = "price:10..20 AND brand:Acme")]
    filter: Option<String>,
    /// A name for this visit: what an answer of another `scene` with the same name shows is not shown again.
    #[param(example = "s1")]
    visit: Option<String>,
    /// What to do with items chosen before: `keep`, `drop`, or `drop:` with types of events.
    #[param(example = "drop:purchase")]
    seen: Option<String>,
    /// Whether variants of a product count as one: `one` (if left out) or `all`.
    #[serde(default)]
    #[param(inline)]
    variants: VariantsBody,
    /// Whether items at price 0 or without a title may be recommended: `hide` or `show`; what the configuration says if
    /// left out.
    #[param(inline)]
    incomplete: Option<IncompleteBody>,
    /// How much diversity weighs against score: 0 to 1; what the scene says if left out.
    diversity: Option<f32>,
    /// What the answer says of each item beside its id, with commas between the names. A variant has from its product
    /// what it lacks.
    #[serde(default)]
    #[param(value_type = Option<String>, example = "title,price,image")]
    fields: FieldNames,
    /// Whether each item comes with its reasons.
    #[serde(default)]
    explain: bool,
}

/// Recommend items to a user
#[utoipa::path(
    get,
    path = "/v1/recommend/{user}",
    tag = "serve",
    params(("user" = String, Path, description = "The user's id", example = "u1"), RecommendParams),
    responses(
        (status = 200, description = "Items, best first", body = RecommendationBody),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn recommend_user(
    State(server): State<Arc<Server>>,
    Id(user): Id,
    Extension(turn): Extension<HeldTurn>,
    Params(params): Params<RecommendParams>,
) -> Result<Response, Problem> {
    recommend_by_params(&server, &turn, user, params).await
}

/// `GET` of the address that batches are sent to with `POST`: recommendations to the user with the id `batch`.
pub(super) async fn recommend_user_batch(
    State(server): State<Arc<Server>>,
    Extension(turn): Extension<HeldTurn>,
    Params(params): Params<RecommendParams>,
) -> Result<Response, Problem> {
    recommend_by_params(&server, &turn, "batch".into(), params).await
}

async fn recommend_by_params(
    server: &Arc<Server>,
    turn: &HeldTurn,
    user: String,
    params: RecommendParams,
) -> Result<Response, Problem> {
    let started = Instant::now();
    let RecommendParams {
        session,
        scene,
        device,
        query,
        n,
        offset,
        filter,
        visit,
        seen,
        variants,
        incomplete,
        diversity,
        fields,
        explain,
    } = params;
    let body = RecommendBody {
        user: Some(user),
        session,
        scene,
        device,
        query,
        n,
        offset,
        filter,
        visit,
        seen,
        variants,
        incomplete,
        diversity,
        fields,
        explain,
        ..Default::default()
    };
    let asked = body.into_request(At(""), &server.engine)?;
    let depth = asked.depth();
    let answering = Arc::clone(server);
    let page = move || Ok(Json(answering.recommend(Asker::Shop, asked, started)?));
    server.long_pages.compute(depth, turn, page).await
}

/// Several requests at once.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"requests": [{"user": "u1", "n": 20}, {"user": "u2", "n": 20}]}))]
pub(super) struct RecommendBatch {
    /// At most 100.
    requests: Vec<RecommendBody>,
}

/// Answers in the order of their requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecommendationBatch {
    /// Time inside the server for all of them, in milliseconds.
    took_ms: f64,
    /// One for each request.
    recommendations: Vec<RecommendationBody>,
}

/// Recommend items to several shoppers
///
/// For mailings and pages with several rows. A request that cannot be read fails the batch, with its place as `field`.
#[utoipa::path(
    post,
    path = "/v1/recommend/batch",
    tag = "serve",
    request_body = RecommendBatch,
    responses(
        (status = 200, description = "Answers in the order of their requests", body = RecommendationBatch),
        (status = "default", description = "A problem", body = ProblemDocument, content_type = "application/problem+json"),
    )
)]
pub(super) async fn recommend_batch(
    State(server): State<Arc<Server>>,
    Extension(turn): Extension<HeldTurn>,
    body::Json(RecommendBatch { requests }): body::Json<RecommendBatch>,
) -> Result<Response, Problem> {
    let started = Instant::now();
    At("").list("requests", requests.len(), MAX_REQUESTS)?;
    let read =
        |(idx, body): (usize, RecommendBody)| body.into_request(At(&format!("requests[{idx}].")), &server.engine);
    let requests = requests.into_iter().enumerate().map(read).collect::<Result<Vec<_>, _>>()?;
    let depth = requests.iter().map(Asked::depth).sum();
    let answering = Arc::clone(&server);
    let answer = move || {
        let answer_one = |asked| answering.recommend(Asker::Shop, asked, Instant::now());
        let recommendations = requests.into_iter().map(answer_one).collect::<Result<_, Problem>>()?;
        Ok(Json(RecommendationBatch { took_ms: took_ms(started), recommendations }))
    };
    server.long_pages.compute(depth, &turn, answer).await
}
