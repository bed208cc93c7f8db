//! Searches whose query has a vector.

use accrue_event::Item;
use accrue_kernel::quantise;
use accrue_store::ItemVector;

use super::tests::{Catalogue, ids, mug};
use crate::filter::Filter;
use crate::search::QueryVector;
use crate::{SearchAnswer, SearchRequest};

const SPACE: u64 = 7;

/// A shop whose items have these titles, brands and vectors.
fn shop(items: &[(&str, &str, Option<[f32; 3]>)]) -> Catalogue {
    let item = |(place, (title, brand, _)): (usize, &(&str, &str, Option<[f32; 3]>))| {
        mug(place, |item| (item.title, item.brand) = (Some((*title).into()), Some((*brand).into())))
    };
    let described: Vec<Item> = items.iter().enumerate().map(item).collect();
    let mut catalogue = Catalogue::new(&described);
    for (place, (.., vector)) in items.iter().enumerate() {
        let Some(vector) = vector else { continue };
        let mut codes = vec![0; 3];
        let scale = quantise(vector, &mut codes);
        let vector =
            ItemVector { item: described[place].id.clone(), space: SPACE, text: 1, scale, codes: codes.into() };
        catalogue.fixture.version.ensemble.catalogue.encode(place as u32, &vector);
    }
    catalogue
}

/// Things to drink from lie along the first axis, lamps along the second, clothes along the third.
fn things() -> Catalogue {
    shop(&[
        ("coffee cup", "acme", Some([1.0, 0.0, 0.0])),
        ("tea mug", "bolt", Some([0.97, 0.24, 0.0])),
        ("cup of plants", "acme", Some([0.0, 0.1, 0.99])),
        ("desk lamp", "acme", Some([0.0, 1.0, 0.0])),
        ("lamp 85A", "bolt", Some([0.1, 0.99, 0.0])),
        ("wool hat", "acme", Some([0.0, 0.0, 1.0])),
        ("linen shirt", "bolt", Some([0.0, 0.0, 1.0])),
        ("new cup", "bolt", None),
    ])
}

fn ask(shop: &Catalogue, query: &str, vector: [f32; 3], of: impl FnOnce(&mut SearchRequest)) -> SearchAnswer {
    let mut request = SearchRequest {
        query: query.into(),
        meaning: Some(QueryVector::new(SPACE, &vector)),
        personalisation: 0.0,
        explain: true,
        ..SearchRequest::default()
    };
    of(&mut request);
    shop.shop().search(&shop.index, &request).unwrap()
}

const DRINK: [f32; 3] = [1.0, 0.0, 0.0];

/// The ids of the hits, sorted: what sells in the shop that the models come from also moves them.
fn found(answer: &SearchAnswer) -> Vec<&str> {
    let mut found = ids(&answer.hits);
    found.sort_unstable();
    found
}

#[test]
fn what_means_the_same_is_found_beside_what_has_the_words_and_says_so() {
    let shop = things();
    let answer = ask(&shop, "cup", DRINK, |_| {});
    assert_eq!((found(&answer), answer.total), (vec!["m0", "m1", "m2", "m7"], 4), "what is similar counts");
    for hit in &answer.hits {
        let sum: f32 = hit.reasons.iter().map(|reason| reason.share).sum();
        assert!((sum - hit.score).abs() < 1e-4, "{hit:?}");
    }
    let similar = |id: &str| {
        let hit = answer.hits.iter().find(|hit| hit.id.as_str() == id).unwrap();
        hit.reasons.iter().find(|reason| reason.code == "similar_meaning").map_or(0.0, |reason| reason.share)
    };
    assert!(similar("m0") > similar("m1") && similar("m1") > 0.0);
    assert_eq!(similar("m2"), 0.0, "plants mean something else");
    // Nothing has the words.
    let answer = ask(&shop, "xyzzy", DRINK, |_| {});
    assert_eq!((found(&answer), answer.total), (vec!["m0", "m1"], 2));
    assert_eq!((answer.dropped.len(), &*answer.dropped[0]), (1, "xyzzy"));
}

#[test]
fn a_query_without_a_vector_is_lexical_and_other_vectors_are_not_compared() {
    let shop = things();
    let lexical = ask(&shop, "cup", DRINK, |request| request.meaning = None);
    assert_eq!((lexical.total, &lexical.degraded[..]), (3, &[][..]));
    let other = ask(&shop, "cup", DRINK, |request| request.meaning = Some(QueryVector::new(SPACE + 1, &DRINK)));
    assert_eq!((&other.hits, &other.degraded[..]), (&lexical.hits, &["no_vectors"][..]));
    let wide = ask(&shop, "cup", DRINK, |request| request.meaning = Some(QueryVector::new(SPACE, &[1.0; 8])));
    assert_eq!(wide.degraded, ["no_vectors"]);
    let open = ask(&shop, " ", DRINK, |_| {});
    assert_eq!((open.total, &open.degraded[..]), (8, &[][..]), "a blank query means nothing");
}

#[test]
fn facets_totals_and_filters_speak_of_the_same_items() {
    let shop = things();
    for query in ["cup", "xyzzy", "cup xyzzy"] {
        let facets = |request: &mut SearchRequest| request.facets = vec![shop.shop().facet("brand").unwrap()];
        let whole = ask(&shop, query, DRINK, facets);
        for value in &whole.facets[0].values {
            let filter = Filter::parse(&format!("brand:{}", value.value)).unwrap();
            let chosen = ask(&shop, query, DRINK, |request| request.filter = Some(filter));
            assert_eq!((chosen.total, chosen.hits.len()), (value.count, value.count), "{query} {value:?}");
        }
        assert_eq!(whole.facets[0].values.iter().map(|value| value.count).sum::<usize>(), whole.total);
    }
    let by_title = ask(&shop, "cup", DRINK, |request| request.sort = shop.shop().sort(["title"]).unwrap());
    assert_eq!(ids(&by_title.hits), ["m0", "m2", "m7"], "in an order by a field, only what has the words");
}

#[test]
fn codes_and_numbers_are_never_displaced() {
    let shop = things();
    // The vector says that everything to drink from is nearer.
    let answer = ask(&shop, "lamp 85a", DRINK, |_| {});
    assert_eq!(ids(&answer.hits), ["m4"]);
    let answer = ask(&shop, "m6", DRINK, |_| {});
    assert_eq!(ids(&answer.hits), ["m6"], "an id");
}

#[test]
fn a_vector_of_nothing_finds_nothing_and_is_no_error() {
    let shop = things();
    for vector in [[0.0; 3], [f32::NAN; 3], [-1.0, 0.0, 0.0]] {
        let answer = ask(&shop, "cup", vector, |_| {});
        assert!(answer.hits.iter().all(|hit| hit.score.is_finite()), "{vector:?} {:?}", answer.hits);
        assert!(ids(&answer.hits).contains(&"m7"));
    }
}

/// A shop of `n` items whose cosines with [`DRINK`] are these, and one of a cup.
fn along(n: usize, cosine: impl Fn(usize) -> f32) -> Catalogue {
    let titles: Vec<String> = (0..n).map(|place| format!("thing{place}")).collect();
    let vector = |place: usize| Some([cosine(place), (1.0 - cosine(place).powi(2)).sqrt(), 0.0]);
    let mut items: Vec<(&str, &str, Option<[f32; 3]>)> =
        titles.iter().enumerate().map(|(place, title)| (&**title, "acme", vector(place))).collect();
    items.push(("coffee cup", "acme", None));
    shop(&items)
}

#[test]
fn an_encoder_whose_cosines_lie_in_a_narrow_band_finds_by_meaning_as_any_other() {
    // A query is nearly as far from what it means as from anything: 0.85 beside 0.80, where only its own text has 1.
    let shop = along(120, |place| if place < 2 { 0.85 } else { 0.8 });
    let answer = ask(&shop, "cup", DRINK, |_| {});
    assert_eq!(found(&answer), ["m0", "m1", "m120"]);
}

#[test]
fn of_items_that_all_mean_the_same_none_is_similar() {
    for n in [1, 2, 50] {
        let shop = along(n, |_| 0.7);
        for query in ["cup", "xyzzy", "thing0 xyzzy"] {
            let answer = ask(&shop, query, DRINK, |_| {});
            assert_eq!(answer.total, usize::from(query != "xyzzy"), "{n} {query}: {:?}", found(&answer));
        }
    }
}

#[test]
fn the_nearest_are_found_from_a_lower_similarity_where_no_item_has_all_words() {
    // From one to the next a little nearer; none is as similar as the floor.
    let shop = along(30, |place| 0.4 * place as f32 / 29.0 - 0.2);
    let answer = ask(&shop, "cup", DRINK, |_| {});
    assert_eq!(found(&answer), ["m30"], "items have the word");
    let answer = ask(&shop, "xyzzy", DRINK, |_| {});
    assert_eq!(ids(&answer.hits)[..3], ["m29", "m28", "m27"]);
    assert!((4..=20).contains(&answer.total), "those that lie apart from the others: {}", answer.total);
    let answer = ask(&shop, "cup xyzzy", DRINK, |_| {});
    assert!(found(&answer).contains(&"m29") && found(&answer).contains(&"m30"), "{:?}", found(&answer));
    assert_eq!(&*answer.dropped, ["xyzzy".into()]);
}

#[test]
fn a_word_among_words_that_no_item_has_does_not_outweigh_the_meaning() {
    let shop = things();
    let place = |answer: &SearchAnswer, id: &str| ids(&answer.hits).iter().position(|hit| *hit == id);
    let answer = ask(&shop, "cup quux xyzzy", DRINK, |_| {});
    assert!(place(&answer, "m1") < place(&answer, "m2"), "a mug before a cup of plants: {:?}", ids(&answer.hits));
    // Without a vector the only word that is there decides.
    let lexical = ask(&shop, "cup quux xyzzy", DRINK, |request| request.meaning = None);
    assert_eq!(found(&lexical), ["m0", "m2", "m7"]);
    for hit in &answer.hits {
        let sum: f32 = hit.reasons.iter().map(|reason| reason.share).sum();
        assert!((sum - hit.score).abs() < 1e-3, "{hit:?}");
    }
}
