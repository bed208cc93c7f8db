//! Sponsored slots on pages of a small shop.

use accrue_event::{Attribute, Campaign, CampaignDocument, CampaignRecord, Timestamp, User};
use accrue_model::ranker::Followed;
use accrue_store::{Body, Page, Record, Served, SponsoredSlot};
use proptest::prelude::*;

use super::Campaigns;
use crate::fixture::{Fixture, Size, item_name, user};
use crate::scene::SceneSettings;
use crate::{Grouping, RecommendRequest, Recommendation, Scenes, Shop};

const N_ITEMS: u32 = 60;

fn campaign(id: &str, items: &[u64], bid: u64) -> Campaign {
    Campaign {
        id: id.into(),
        items: items.iter().map(|item| item_name(*item).as_str().into()).collect(),
        filter: None,
        bid,
        daily_budget: 1_000,
        scenes: Vec::new(),
        categories: Vec::new(),
        queries: Vec::new(),
        shoppers: None,
        per_shopper: None,
        quality_floor: None,
        from: None,
        until: None,
    }
}

fn document(campaigns: Vec<Campaign>) -> CampaignDocument {
    CampaignDocument { campaigns, ..CampaignDocument::default() }
}

/// Items below 30 lead to a click in an eighth of their impressions, and the others in a hundredth.
fn shop() -> Fixture {
    let size = Size { n_items: u64::from(N_ITEMS), n_unmet: 0, n_events: 200, variant_each: 1_000, ..Size::default() };
    let mut shop = Fixture::new(size);
    shop.learn_clicks(60_000, N_ITEMS, |item, turn| {
        let one_in = if item < 30 { 8 } else { 100 };
        if (turn + u64::from(item)) % one_in == 0 { Followed::CLICK } else { Followed::NOTHING }
    });
    shop
}

impl Fixture {
    /// The next record of the log, about nothing that models learn.
    fn apply(&mut self, body: Body) {
        let record = Record { offset: self.facts.end, received_at: self.facts.stream_time, body };
        self.facts.apply(&record);
    }

    /// An answer that showed the campaign to a user.
    fn show(&mut self, campaign: &str, to: &str) {
        self.apply(Body::Served(Box::new(Served {
            user: Some(to.into()),
            version: 1,
            items: vec!["i1".into()],
            sponsored: vec![SponsoredSlot { place: 0, campaign: campaign.into(), price: 1 }],
            ..Served::bare("r".into(), Page::Recommend)
        })));
    }
}

fn page_of(shop: &Fixture, campaigns: Vec<Campaign>, places: &[usize], request: RecommendRequest) -> Recommendation {
    let settings = SceneSettings { sponsored: Some(places.to_vec()), ..SceneSettings::default() };
    let scenes = Scenes::read(&[("shelf".into(), settings)].into()).unwrap();
    let campaigns = Campaigns::read(&document(campaigns)).unwrap();
    let request = RecommendRequest { scene: Some("shelf".into()), grouping: Grouping::Item, ..request };
    Shop { campaigns: &campaigns, ..shop.shop_with(&scenes) }.recommend(&request)
}

/// The sponsored items of a page of ten: place from 1, item, campaign, price.
fn sold(shop: &Fixture, campaigns: Vec<Campaign>, request: RecommendRequest) -> Vec<(usize, String, String, u64)> {
    sponsored(&page_of(shop, campaigns, &[3, 7], request))
}

fn sponsored(page: &Recommendation) -> Vec<(usize, String, String, u64)> {
    let items = page.items.iter().enumerate();
    let told = items.filter_map(|(place, item)| {
        let by = item.sponsored.as_ref()?;
        Some((place + 1, item.id.as_str().to_owned(), by.campaign.to_string(), by.price))
    });
    told.collect()
}

/// Items that are not on the plain page of ten, of which the second half is clicked less.
fn absent(shop: &Fixture, request: &RecommendRequest) -> (Vec<u64>, Vec<u64>) {
    let page = page_of(shop, Vec::new(), &[3, 7], request.clone());
    let is_absent = |item: &u64| page.items.iter().all(|found| found.id.as_str() != item_name(*item));
    ((0..30).filter(is_absent).collect(), (30..60).filter(is_absent).collect())
}

#[test]
fn the_highest_bid_times_probability_takes_the_first_slot_at_the_price_of_the_next() {
    let (shop, request) = (shop(), RecommendRequest { explain: true, ..Default::default() });
    let (often, seldom) = absent(&shop, &request);
    // Two thirds of the bid at several times the probability.
    let campaigns = vec![campaign("dear", &[seldom[0]], 60), campaign("liked", &[often[0]], 40)];
    let page = page_of(&shop, campaigns, &[3, 7], request.clone());
    let told = sponsored(&page);
    let places: Vec<_> =
        told.iter().map(|(place, item, campaign, _)| (*place, item.clone(), campaign.as_str())).collect();
    assert_eq!(places, [(3, item_name(often[0]), "liked"), (7, item_name(seldom[0]), "dear")]);
    assert!((2..40).contains(&told[0].3) && told[1].3 == 1, "{told:?}");
    assert_eq!((page.items.len(), page.next_offset), (10, Some(8)));
    assert!(page.items[2].reasons.iter().any(|reason| reason.code == "sponsored"), "{:?}", page.items[2]);
    let plain = page_of(&shop, Vec::new(), &[3, 7], request);
    let own: Vec<_> = page.items.iter().filter(|item| item.sponsored.is_none()).map(|item| &item.id).collect();
    assert_eq!(own, plain.items[..8].iter().map(|item| &item.id).collect::<Vec<_>>(), "the others keep their order");
}

#[test]
fn what_stands_on_the_page_or_may_not_be_shown_is_not_sponsored() {
    let shop = shop();
    let request = RecommendRequest { visitor: user(1), ..Default::default() };
    let (often, _) = absent(&shop, &request);
    let plain = page_of(&shop, Vec::new(), &[3], request.clone());
    let on_page: u64 = plain.items[4].id.as_str()[1..].parse().unwrap();
    assert!(sold(&shop, vec![campaign("a", &[on_page], 50)], request.clone()).is_empty());
    let excluded = RecommendRequest { exclude: vec![item_name(often[0]).as_str().into()], ..request.clone() };
    assert!(sold(&shop, vec![campaign("a", &[often[0]], 50)], excluded).is_empty());
    assert!(sold(&shop, vec![campaign("a", &[9_999], 50)], request.clone()).is_empty(), "not in the catalogue");
    let bought = shop.event(accrue_event::EventType::Purchase, often[0], 1);
    let buyer = RecommendRequest { events: Some(vec![bought]), ..Default::default() };
    let told = sold(&shop, vec![campaign("a", &[often[0]], 50)], buyer);
    assert!(told.is_empty(), "bought: {told:?}");
    let later = RecommendRequest { offset: 10, ..request.clone() };
    assert!(sold(&shop, vec![campaign("a", &[often[0]], 50)], later).is_empty(), "on a further page");
    assert_eq!(sold(&shop, vec![campaign("a", &[often[0]], 50)], request).len(), 1);
}

#[test]
fn one_campaign_has_one_slot_and_an_item_stands_once() {
    let shop = shop();
    let (often, _) = absent(&shop, &RecommendRequest::default());
    let told = sold(&shop, vec![campaign("a", &often[..5], 50)], RecommendRequest::default());
    assert_eq!(told.len(), 1);
    let both = vec![campaign("a", &often[..1], 50), campaign("b", &often[..1], 40)];
    let told = sold(&shop, both, RecommendRequest::default());
    assert_eq!(
        (told.len(), &*told[0].2, told[0].3),
        (1, "a", 40),
        "the rival for the same item sets the price: {told:?}"
    );
}

#[test]
fn a_filter_finds_items_among_the_candidates() {
    let shop = shop();
    let by_brand = Campaign { items: Vec::new(), filter: Some("brand:brand3".into()), ..campaign("a", &[], 50) };
    let told = sold(&shop, vec![by_brand], RecommendRequest::default());
    let brand = |id: &str| shop.facts.find(&id.into()).unwrap().item.brand.clone().unwrap();
    assert_eq!(&*brand(&told[0].1), "brand3");
}

#[test]
fn a_campaign_takes_part_where_its_targeting_says() {
    let mut shop = shop();
    let attributes = [("segment".into(), Attribute::Text("vip".into()))].into();
    shop.apply(Body::User(User { id: "u1".into(), attributes }));
    let (often, _) = absent(&shop, &RecommendRequest::default());
    let shown = |edit: &dyn Fn(&mut Campaign), request: RecommendRequest| {
        let mut campaign = campaign("a", &often[..8], 50);
        edit(&mut campaign);
        !sold(&shop, vec![campaign], request).is_empty()
    };
    let by = |visitor| RecommendRequest { visitor, ..Default::default() };
    assert!(shown(&|campaign| campaign.scenes = vec!["shelf".into()], by(user(1))));
    assert!(!shown(&|campaign| campaign.scenes = vec!["home".into()], by(user(1))));
    let vip = |campaign: &mut Campaign| campaign.shoppers = Some("segment:vip".into());
    assert!(shown(&vip, by(user(1))) && !shown(&vip, by(user(2))) && !shown(&vip, RecommendRequest::default()));
    let query = |text: &str| RecommendRequest { query: Some(text.into()), ..Default::default() };
    let mugs = |campaign: &mut Campaign| campaign.queries = vec!["Red Mug".into()];
    assert!(
        shown(&mugs, query("red mug")) && !shown(&mugs, query("mug")) && !shown(&mugs, RecommendRequest::default())
    );
    let category = |text: &str| RecommendRequest {
        filter: Some(crate::filter::Filter::parse(text).unwrap()),
        ..Default::default()
    };
    let of_category = |campaign: &mut Campaign| {
        campaign.categories = vec!["Category1".into()];
        campaign.items = (0..60).map(|item| item_name(item).as_str().into()).collect();
    };
    assert!(
        shown(&of_category, category("category:category1")) && !shown(&of_category, category("category:category2"))
    );
    let now = shop.facts.stream_time.0;
    assert!(shown(&|campaign| campaign.until = Some(Timestamp(now + 1)), by(user(1))));
    assert!(!shown(&|campaign| campaign.until = Some(Timestamp(now)), by(user(1))));
    assert!(!shown(&|campaign| campaign.from = Some(Timestamp(now + 1)), by(user(1))));
    assert!(!shown(&|campaign| campaign.quality_floor = Some(0.5), by(user(1))));
    assert!(shown(&|campaign| campaign.quality_floor = Some(0.01), by(user(1))));
}

#[test]
fn caps_and_budgets_end_a_campaign_for_the_day() {
    let mut shop = shop();
    let (often, _) = absent(&shop, &RecommendRequest::default());
    let capped = |id: &str| Campaign { per_shopper: Some(2), ..campaign(id, &often[..5], 50) };
    let by_user = |lately: &[&str]| RecommendRequest {
        visitor: user(1),
        lately_sponsored: lately.iter().map(|id| (*id).into()).collect(),
        ..Default::default()
    };
    let written = serde_json::to_string(&CampaignRecord::Document(document(vec![capped("a")]))).unwrap();
    shop.apply(Body::Campaigns(written.into()));
    assert!(sold(&shop, vec![capped("a")], RecommendRequest::default()).is_empty(), "without an identity");
    assert_eq!(sold(&shop, vec![capped("a")], by_user(&[])).len(), 1);
    shop.show("a", "u1");
    assert_eq!(sold(&shop, vec![capped("a")], by_user(&[])).len(), 1);
    assert!(sold(&shop, vec![capped("a")], by_user(&["a"])).is_empty(), "one of them is not in the log yet");
    shop.show("a", "u1");
    assert!(sold(&shop, vec![capped("a")], by_user(&[])).is_empty());
    assert_eq!(sold(&shop, vec![capped("b")], by_user(&[])).len(), 1, "each campaign has its own cap");

    let day = accrue_store::day_of(shop.facts.stream_time.0);
    let charge = |amount| {
        let (campaign, answer, item) = ("c".into(), "r9".into(), "i1".into());
        CampaignRecord::Charge(accrue_event::Charge { campaign, answer, item, price: amount, amount, day })
    };
    assert_eq!(sold(&shop, vec![campaign("c", &often[..5], 50)], by_user(&[])).len(), 1);
    shop.apply(Body::Campaigns(serde_json::to_string(&charge(1_000)).unwrap().into()));
    assert!(sold(&shop, vec![campaign("c", &often[..5], 50)], by_user(&[])).is_empty(), "the budget is spent");
}

#[test]
fn without_learned_clicks_campaigns_with_a_floor_do_not_take_part() {
    let mut shop = shop();
    let (often, _) = absent(&shop, &RecommendRequest::default());
    shop.learn_clicks(100, 10, |_, _| Followed::NOTHING);
    let plain = page_of(&shop, vec![campaign("a", &often[..5], 50)], &[1], RecommendRequest::default());
    assert!(plain.items[0].sponsored.is_some() && plain.degraded.contains(&"few_impressions"), "{plain:?}");
    let floor = Campaign { quality_floor: Some(0.0), ..campaign("a", &often[..5], 50) };
    assert!(sold(&shop, vec![floor], RecommendRequest::default()).is_empty());
    shop.version.clicks = None;
    let page = page_of(&shop, vec![campaign("a", &often[..5], 50)], &[1], RecommendRequest::default());
    assert!(sponsored(&page).is_empty() && page.degraded.contains(&"no_impressions"), "{:?}", page.degraded);
}

#[test]
fn a_slot_behind_a_short_page_stays_empty() {
    let shop = shop();
    let (often, _) = absent(&shop, &RecommendRequest::default());
    let request = RecommendRequest { n: 2, ..Default::default() };
    assert!(sold(&shop, vec![campaign("a", &often[..5], 50)], request.clone()).is_empty());
    let page = page_of(&shop, vec![campaign("a", &often[..5], 50)], &[1, 2], RecommendRequest { n: 1, ..request });
    assert_eq!((page.items.len(), sponsored(&page).len(), page.next_offset), (1, 0, None), "one place is not for sale");
}

#[test]
fn whoever_follows_next_offset_sees_every_item_also_where_slots_fill_the_page() {
    let shop = shop();
    for n in 1..=4 {
        let campaigns: Vec<Campaign> = (0..4).map(|k| campaign(&format!("c{k}"), &[50 + k, 54 + k], 50 - k)).collect();
        let (mut offset, mut seen, mut n_pages) = (0, std::collections::BTreeSet::new(), 0);
        while n_pages < 100 {
            let request = RecommendRequest { n, offset, ..Default::default() };
            let page = page_of(&shop, campaigns.clone(), &[1, 2, 3, 4], request);
            if page.items.is_empty() {
                break;
            }
            let next = page.next_offset.unwrap_or(offset + page.items.len());
            assert!(next > offset, "n {n}: {next} follows {offset}");
            seen.extend(page.items.iter().filter(|item| item.sponsored.is_none()).map(|item| item.id.clone()));
            (offset, n_pages) = (next, n_pages + 1);
        }
        assert_eq!(seen.len(), N_ITEMS as usize, "n {n}");
    }
}

#[test]
fn campaigns_without_an_item_for_the_page_keep_no_other_one_off_it() {
    let shop = shop();
    let (often, _) = absent(&shop, &RecommendRequest::default());
    let mut campaigns: Vec<Campaign> = (0..150).map(|k| campaign(&format!("sold-out-{k}"), &[9_999], 90)).collect();
    let other =
        |k| Campaign { items: Vec::new(), filter: Some("brand:other".into()), ..campaign(&format!("b{k}"), &[], 80) };
    campaigns.extend((0..150).map(other));
    campaigns.push(campaign("a", &often[..1], 50));
    let told = sold(&shop, campaigns, RecommendRequest::default());
    assert_eq!((told.len(), &*told[0].2), (1, "a"));
}

#[test]
fn faults_are_told_with_their_field() {
    let fault = |edit: &dyn Fn(&mut Campaign)| {
        let mut bad = campaign("bad", &[1], 50);
        edit(&mut bad);
        Campaigns::read(&document(vec![campaign("good", &[1], 50), bad])).unwrap_err().field
    };
    assert_eq!(fault(&|campaign| campaign.id = "good".into()), "campaigns[1].id");
    assert_eq!(fault(&|campaign| campaign.id = " ".into()), "campaigns[1].id");
    assert_eq!(fault(&|campaign| campaign.bid = 0), "campaigns[1].bid");
    assert_eq!(fault(&|campaign| campaign.bid = u64::MAX), "campaigns[1].bid");
    assert_eq!(fault(&|campaign| campaign.daily_budget = 0), "campaigns[1].daily_budget");
    assert_eq!(fault(&|campaign| campaign.daily_budget = 49), "campaigns[1].daily_budget");
    assert_eq!(fault(&|campaign| campaign.items = Vec::new()), "campaigns[1].items");
    assert_eq!(fault(&|campaign| campaign.filter = Some("brand:a".into())), "campaigns[1].filter");
    let by_filter = |campaign: &mut Campaign| (campaign.items, campaign.filter) = (Vec::new(), Some("price:".into()));
    assert_eq!(fault(&by_filter), "campaigns[1].filter");
    assert_eq!(fault(&|campaign| campaign.shoppers = Some("price:5".into())), "campaigns[1].shoppers");
    assert_eq!(fault(&|campaign| campaign.queries = vec!["?".into()]), "campaigns[1].queries");
    assert_eq!(fault(&|campaign| campaign.per_shopper = Some(0)), "campaigns[1].per_shopper");
    assert_eq!(fault(&|campaign| campaign.quality_floor = Some(f32::NAN)), "campaigns[1].quality_floor");
    let dates = |campaign: &mut Campaign| (campaign.from, campaign.until) = (Some(Timestamp(5)), Some(Timestamp(5)));
    assert_eq!(fault(&dates), "campaigns[1].until");
    let many: Vec<Campaign> = (0..10_000).map(|n| campaign(&format!("c{n}"), &[1], 50)).collect();
    assert_eq!(Campaigns::read(&document(many)).unwrap_err().field, "campaigns");
    let below = CampaignDocument { reserve: Some(51), ..document(vec![campaign("a", &[1], 50)]) };
    assert_eq!(Campaigns::read(&below).unwrap_err().field, "campaigns[0].bid");
    let reserve = CampaignDocument { reserve: Some(0), ..document(Vec::new()) };
    assert_eq!(Campaigns::read(&reserve).unwrap_err().field, "reserve");
    let currency = CampaignDocument { currency: Some("euro".into()), ..document(Vec::new()) };
    assert_eq!(Campaigns::read(&currency).unwrap_err().field, "currency");
    let fixture = Fixture::new(Size { n_items: 10, n_unmet: 0, n_events: 10, ..Size::default() });
    let checked = |edit: &dyn Fn(&mut Campaign), known: &[Campaign]| {
        let mut bad = campaign("bad", &[1], 50);
        edit(&mut bad);
        fixture
            .shop()
            .check_campaigns(&document(vec![bad]), &document(known.to_vec()))
            .err()
            .map(|fault| fault.to_string())
    };
    let scene = checked(&|campaign| campaign.scenes = vec!["hom".into()], &[]).unwrap();
    assert!(scene.starts_with("campaigns[0].scenes: ") && scene.contains("did you mean \"home\"?"), "{scene}");
    let over = |campaign: &mut Campaign| campaign.until = Some(Timestamp(1));
    assert!(checked(&over, &[]).unwrap().starts_with("campaigns[0].until: "));
    assert_eq!(checked(&over, &[Campaign { until: Some(Timestamp(1)), ..campaign("bad", &[1], 50) }]), None, "known");
}

proptest! {
    #[test]
    fn no_campaign_panics(
        texts in proptest::collection::vec(".{0,20}", 4),
        bid in any::<u64>(),
        daily_budget in any::<u64>(),
        floor in any::<f32>(),
        per_shopper in any::<u32>(),
        from in any::<i64>(),
        until in any::<i64>(),
    ) {
        let random = Campaign {
            items: Vec::new(),
            filter: Some(texts[0].as_str().into()),
            shoppers: Some(texts[1].as_str().into()),
            queries: vec![texts[2].as_str().into()],
            daily_budget,
            quality_floor: Some(floor),
            per_shopper: Some(per_shopper),
            from: Some(Timestamp(from)),
            until: Some(Timestamp(until)),
            ..campaign(&texts[3], &[], bid)
        };
        let _ = Campaigns::read(&document(vec![random]));
    }
}
