use std::collections::BTreeMap;

use accrue_event::{Event, EventType, Item, ItemId, Timestamp};
use accrue_store::{Body, CheckedEvent, Offset, ProposalKind, Record, Reformulations};

use super::*;
use crate::search::{SearchIndex, SearchReader, SearchSettings};

/// A shop with a search and its past.
struct TestShop {
    items: BTreeMap<ItemId, (u32, RepairItem)>,
    reader: SearchReader,
    found: Reformulations,
    at_ms: i64,
}

impl TestShop {
    fn new(titles: &[(&str, &str)]) -> Self {
        let mut index = SearchIndex::open(None, SearchSettings::default()).unwrap();
        let mut items = BTreeMap::new();
        for (n, (title, category)) in (0..).zip(titles) {
            let id = ItemId::from(format!("i{n}").as_str());
            let categories: Vec<Box<str>> = vec!["all".into(), (*category).into()];
            let item = Item { title: Some((*title).into()), categories: categories.clone(), ..Item::bare(id.clone()) };
            index.upsert(n, &item).unwrap();
            items.insert(id, (n, RepairItem { title: (*title).into(), categories }));
        }
        index.commit().unwrap();
        Self { items, reader: index.reader(), found: Reformulations::default(), at_ms: 0 }
    }

    fn event(&mut self, kind: EventType, user: &str, query: &str, item: Option<&str>, is_published: bool) {
        self.at_ms += 1_000;
        let event = Event {
            user: Some(user.into()),
            item: item.map(ItemId::from),
            query: Some(query.into()),
            ..Event::bare(if is_published { "@publish:web:1".into() } else { "e".into() }, kind, Timestamp(self.at_ms))
        };
        let body = Body::Event(CheckedEvent { event, repairs: Vec::new(), raw: None });
        self.found.observe(&Record { offset: Offset(0), received_at: Timestamp(self.at_ms), body });
    }

    fn search(&mut self, user: &str, query: &str) {
        self.event(EventType::Search, user, query, None, false);
    }

    fn click(&mut self, user: &str, query: &str, item: &str) {
        self.event(EventType::Click, user, query, Some(item), false);
    }

    /// Shoppers who replace words by others before they choose.
    fn replace(&mut self, who: &str, n: usize, from: &str, to: &str, item: &str) {
        for k in 0..n {
            let user = format!("{who}{k}");
            self.search(&user, from);
            self.search(&user, to);
            self.click(&user, to, item);
            self.at_ms += 3_600_000;
        }
    }

    fn proposals(&self) -> Proposals {
        let item = |id: &ItemId| self.items.get(id).map(|(_, item)| item.clone());
        let rank = |reader: &SearchReader, query: &str| {
            let hits = reader.search(query, &|_| true, DEPTH, 0)?.hits;
            Ok(hits.into_iter().map(|hit| (ItemId::from(format!("i{}", hit.item_idx).as_str()), hit.score)).collect())
        };
        let view = RepairView { item: &item, is_brand: &|text| text == "velthune", rank: &rank };
        propose(&self.found, &view, &self.reader, &RepairSettings::default(), &|_| false).unwrap()
    }

    fn found(&self) -> Vec<(ProposalKind, String, String)> {
        let proposals = self.proposals().proposals.into_iter();
        proposals.map(|one| (one.kind, one.from.to_string(), one.to.to_string())).collect()
    }
}

const TITLES: [(&str, &str); 9] = [
    ("Rain umbrella", "rain"),
    ("Pocket umbrella", "rain"),
    ("Stoneware mug", "cups"),
    ("Glass mug", "cups"),
    ("Rucksack large", "bags"),
    ("Hiking poncho yellow", "rain"),
    ("Hiking pancha green", "rain"),
    ("Velthune lamp", "light"),
    ("Brass lamp", "light"),
];

#[test]
fn synonyms_and_words_written_apart_are_proposed_one_way() {
    let mut shop = TestShop::new(&TITLES);
    shop.replace("ann", 25, "gamp", "umbrella", "i0");
    shop.replace("bob", 25, "rucc sak", "rucksack", "i4");
    assert_eq!(
        shop.found(),
        [
            (ProposalKind::Synonym, "gamp".into(), "umbrella".into()),
            (ProposalKind::Split, "rucc sak".into(), "rucksack".into()),
        ]
    );
    let proposal = &shop.proposals().proposals[0];
    assert_eq!((proposal.shoppers, proposal.of, proposal.queries.len()), (25, 25, 1));
    assert!(proposal.share > 0.5 && proposal.gain > 0.9, "{proposal:?}");
}

#[test]
fn a_word_misspelt_in_a_title_is_found_by_what_was_chosen() {
    let mut shop = TestShop::new(&TITLES);
    shop.replace("ann", 20, "hiking poncho", "green hiking", "i6");
    for k in 0..40 {
        shop.click(&format!("eve{k}"), "hiking poncho", "i5");
    }
    assert_eq!(shop.found(), [(ProposalKind::Title, "poncho".into(), "pancha".into())]);
    // Once shoppers type it and choose something, it is a word of its own.
    shop.click("zoe", "pancha", "i6");
    assert_eq!(shop.found(), []);
}

#[test]
fn a_query_is_tied_to_the_category_that_is_chosen_after_it() {
    let mut titles: Vec<(&str, &str)> = vec![("Glass", "material"); 12];
    titles.extend([("Glass for wine", "cups"), ("Glass for water", "cups")]);
    let mut shop = TestShop::new(&titles);
    for k in 0..60 {
        shop.click(&format!("ann{k}"), "glass", if k % 2 == 0 { "i12" } else { "i13" });
    }
    assert_eq!(shop.found(), [(ProposalKind::Category, "glass".into(), "cups".into())]);
    let proposal = &shop.proposals().proposals[0];
    let rule = category_rule(&proposal.id, proposal.kind, &proposal.from, &proposal.to).unwrap();
    assert_eq!(rule.filter.as_deref(), Some("category:\"cups\""));
    assert!(crate::Rules::read(&[rule]).is_ok());
}

#[test]
fn what_works_is_chance_or_comes_from_few_is_not_proposed() {
    let mut shop = TestShop::new(&TITLES);
    // Both words work: some shoppers looked for something else.
    shop.replace("ann", 25, "mug", "lamp", "i8");
    (0..25).for_each(|k| shop.click(&format!("fan{k}"), "mug", "i2"));
    // Shoppers of an unknown word go on to anything.
    for (n, (to, item)) in [("umbrella", "i0"), ("mug", "i2"), ("lamp", "i8"), ("rucksack", "i4")].iter().enumerate() {
        shop.replace(&format!("cat{n}-"), 5, "voucher", to, item);
    }
    // One shopper, however often; and any number with a published key.
    for _ in 0..50 {
        shop.replace("dan", 1, "parapluie", "umbrella", "i0");
    }
    for k in 0..50 {
        let user = format!("web{k}");
        shop.search(&user, "schirm");
        shop.search(&user, "umbrella");
        shop.event(EventType::Click, &user, "umbrella", Some("i0"), true);
    }
    // A maker, a number, and signs.
    shop.replace("eve", 25, "fanzor", "velthune", "i7");
    shop.replace("fay", 25, "mug 40", "mug 41", "i2");
    shop.replace("gus", 25, "<script>", "mug", "i2");
    shop.replace("hal", 25, "a => b, c # d", "mug", "i2");
    assert_eq!(shop.found(), []);
}

#[test]
fn published_keys_neither_make_a_word_fail_nor_take_a_proposal_away() {
    let mut shop = TestShop::new(&TITLES);
    (0..40).for_each(|k| shop.click(&format!("bob{k}"), "mug", "i2"));
    (0..40).for_each(|k| shop.click(&format!("zoe{k}"), "umbrella", "i0"));
    shop.replace("eve", 6, "mug", "umbrella", "i0");
    shop.replace("ann", 25, "gamp", "umbrella", "i0");
    let expected = [(ProposalKind::Synonym, "gamp".into(), "umbrella".into())];
    assert_eq!(shop.found(), expected);
    for k in 0..100 {
        // Searches without a choice for what works, choices after what fails, and searches around both.
        shop.event(EventType::Search, &format!("x{k}"), "mug", None, true);
        shop.event(EventType::Click, &format!("y{k}"), "gamp", Some(&format!("i{}", k % 9)), true);
        shop.event(EventType::Click, &format!("y{k}"), &format!("gamp {}", k % 30), Some("i2"), true);
    }
    assert_eq!(shop.found(), expected);
}

#[test]
fn a_query_of_one_visitor_is_not_shown_beside_a_proposal() {
    let mut shop = TestShop::new(&TITLES);
    shop.replace("ann", 25, "gamp", "umbrella", "i0");
    shop.replace("private", 1, "gamp for anna schmidt", "umbrella for anna schmidt", "i0");
    let proposal = &shop.proposals().proposals[0];
    assert_eq!((proposal.shoppers, &*proposal.queries), (26, &["gamp".into()][..]));
}

#[test]
fn words_that_lead_to_each_other_are_not_both_proposed() {
    let mut shop = TestShop::new(&TITLES);
    shop.replace("ann", 25, "umbrella", "mug", "i2");
    shop.replace("bob", 25, "mug", "umbrella", "i0");
    assert_eq!(shop.found(), []);
    let circle = crate::search::Synonyms::parse("mug => umbrella\numbrella => mug").unwrap();
    assert_eq!(shop.reader.with_more_synonyms(&circle).search("mug", &|_| true, 10, 0).unwrap().total, 4);
    assert_eq!(shop.reader.search("mug", &|_| true, 10, 0).unwrap().total, 2, "the shop's own reader is as it was");
}

#[test]
fn an_unknown_word_that_fails_alone_is_proposed_though_other_words_find_it_elsewhere() {
    let mut titles = TITLES.to_vec();
    titles.extend([("Ankle socks", "socks"), ("Knee socks", "socks"), ("Wool socks", "socks")]);
    let mut shop = TestShop::new(&titles);
    // Beside `ankle` the right item is found whatever the other word is.
    (0..60).for_each(|k| shop.click(&format!("ann{k}"), "ankle stockings", "i9"));
    (0..60).for_each(|k| shop.click(&format!("bob{k}"), "socks", "i11"));
    shop.replace("cat", 40, "stockings", "socks", "i10");
    assert_eq!(shop.found(), [(ProposalKind::Synonym, "stockings".into(), "socks".into())]);
}

#[test]
fn a_known_word_is_not_replaced_because_it_fails_beside_another_one() {
    let mut titles = TITLES.to_vec();
    titles.push(("Walnut bowl", "bowls"));
    let mut shop = TestShop::new(&titles);
    (0..60).for_each(|k| shop.click(&format!("ann{k}"), "mug", "i2"));
    (0..60).for_each(|k| shop.click(&format!("bob{k}"), "bowl", "i9"));
    shop.replace("cat", 40, "walnut mug", "walnut bowl", "i9");
    assert_eq!(shop.found(), []);
}

#[test]
fn words_written_apart_are_found_in_longer_later_queries_that_differ() {
    let mut titles = TITLES.to_vec();
    let styles = ["cosy", "ribbed", "nordic", "plain", "bold", "soft", "long", "thin"];
    let named: Vec<String> = styles.iter().map(|style| format!("{style} cashmere scarf")).collect();
    titles.extend(named.iter().map(|title| (&**title, "scarves")));
    titles.extend([("Wool scarf", "scarves"); 12]);
    let mut shop = TestShop::new(&titles);
    for (n, title) in named.iter().enumerate() {
        shop.replace(&format!("ann{n}-"), 6, "cash mear scarf", title, &format!("i{}", 9 + n));
    }
    assert_eq!(shop.found(), [(ProposalKind::Split, "cash mear".into(), "cashmere".into())]);
}

#[test]
fn one_misspelt_title_is_found_by_any_number_of_later_queries() {
    let mut shop = TestShop::new(&TITLES);
    (0..40).for_each(|k| shop.click(&format!("eve{k}"), "hiking poncho", "i5"));
    for k in 0..40 {
        shop.replace(&format!("ann{k}-"), 1, "hiking poncho", &format!("green {}", "x".repeat(k + 2)), "i6");
    }
    assert_eq!(shop.found(), [(ProposalKind::Title, "poncho".into(), "pancha".into())]);
}

#[test]
fn what_was_chosen_for_lack_of_the_right_title_does_not_hold_its_repair_up() {
    let mut titles = TITLES.to_vec();
    titles.extend([("Minimal wool poncho", "rain"), ("Nordic wool pancha", "rain")]);
    titles.extend([("Nordic lamp", "light"); 12]);
    let mut shop = TestShop::new(&titles);
    (0..40).for_each(|k| shop.click(&format!("eve{k}"), "wool poncho", "i9"));
    shop.replace("ann", 30, "wool poncho", "nordic wool", "i10");
    // No title has these three words, so the answer leaves `nordic` out.
    (0..10).for_each(|k| shop.click(&format!("zoe{k}"), "nordic wool poncho", "i9"));
    assert_eq!(shop.found(), [(ProposalKind::Title, "poncho".into(), "pancha".into())]);
}
