//! What a query finds that is mistyped or not finished.

use accrue_event::Item;

use super::Language;
use super::word_tests::{ask, check, found, item, lexical, shop, titles};

#[test]
fn mistyped_words_are_found_and_the_answer_says_as_what() {
    let reader = titles(&[
        "Christmas lights",
        "Samsung charger",
        "Porcelain teapot",
        "Hot water bottle",
        "Regency cakestand",
        "Lunch bag",
        "Umbrella red",
    ]);
    for (query, items, corrected) in [
        ("christmass", &[0][..], "christmas"),
        ("chritsmas", &[0], "christmas"),
        ("samsug", &[1], "samsung"),
        ("porcelan teapot", &[2], "porcelain teapot"),
        ("hot wtaer botle", &[3], "hot water bottle"),
        ("regancy cakestand", &[4], "regency cakestand"),
        ("luchbag", &[5], "lunchbag"),
        ("xhristmas", &[0], "christmas"),
        ("Umberlla", &[6], "umbrella"),
    ] {
        let answer = ask(&reader, query);
        let got: Vec<u32> = answer.candidates.iter().map(|candidate| candidate.found.item_idx).collect();
        assert_eq!((&*got, answer.corrected.as_deref()), (items, Some(corrected)), "{query}");
        assert!(answer.candidates[0].found.has_all, "{query}");
        let mut exact = reader.read(query, false).unwrap();
        let exact = exact.retrieve(&lexical, 10).unwrap();
        assert_eq!(exact.corrected, None, "{query}");
    }
    assert_eq!(found(&reader, "hotwater bottle"), [3]);
    assert_eq!(ask(&reader, "hotwater bottle").corrected, None, "it is the same word");
}

#[test]
fn what_is_spelled_right_is_not_corrected() {
    let reader =
        titles(&["lamb leather", "lamp", "lamps", "lamp shade", "XA2050 charger", "cat toy", "house", "mouse"]);
    check(&reader, &[("lamb", &[0]), ("XA2051", &[]), ("2051", &[]), ("cot", &[]), ("house", &[6]), ("mouse", &[7])]);
    assert_eq!(ask(&reader, "lamb").corrected, None);
}

#[test]
fn a_word_is_found_while_it_is_typed_after_those_that_are_complete() {
    let mut items: Vec<Item> = ["Christmas lights", "Porcelain teapot", "Umbrella", "Chris Rea vinyl"]
        .iter()
        .enumerate()
        .map(|(i, title)| item(&format!("i{i}"), title))
        .collect();
    items.push(item("XKCD-AB-001", "Poster"));
    items.push(item("XKCD-AB-002", "Poster"));
    let reader = shop(Language::English, &items);
    check(
        &reader,
        &[
            ("chris", &[3, 0]),
            ("chris ", &[3]),
            ("porc", &[1]),
            ("umbr", &[2]),
            ("umrel", &[2]),
            ("xkcd-ab", &[4, 5]),
            ("XKCD-AB-00", &[4, 5]),
            ("xkcd-ab-001", &[4]),
            ("porc teapot", &[1]),
        ],
    );
    let hits = ask(&reader, "chris").candidates;
    assert_eq!(hits.iter().map(|hit| hit.found.has_all).collect::<Vec<_>>(), [true, false]);
    assert_eq!(ask(&reader, "umbr").corrected, None);
}

#[test]
fn what_is_written_with_signs_is_found_while_it_is_typed_without_them() {
    let mut items: Vec<Item> = [
        "T-Shirt blue",
        "Wi-Fi router",
        "E-Bike 28",
        "L'Oréal shampoo",
        "O'Neill shorts",
        "Sunglasses",
        "Dishwasher",
        "Knives set",
        "500 ml bottle",
    ]
    .iter()
    .enumerate()
    .map(|(i, title)| item(&format!("i{i}"), title))
    .collect();
    items.push(item("XKCD-AB-001", "Poster"));
    items.push(item("sku_12/34", "Print"));
    let reader = shop(Language::English, &items);
    for (query, item) in [
        ("tsh", 0),
        ("tshi", 0),
        ("wif", 1),
        ("ebi", 2),
        ("lor", 3),
        ("lore", 3),
        ("onei", 4),
        ("sun gl", 5),
        ("sun glass", 5),
        ("dish wa", 6),
        ("knif", 7),
        ("500m", 8),
        ("500 m", 8),
        ("XKCD-", 9),
        ("xkcd ab", 9),
        ("sku_12/", 10),
    ] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
}

#[test]
fn words_that_are_typed_as_one_are_found_complete_and_before() {
    let reader = titles(&[
        "Red Bull can",
        "Cake stand",
        "T shirt",
        "iPhone 15 Pro",
        "Dr. Martens",
        "Eau de Toilette",
        "Back to school",
        "Rock ‘n’ Roll mug",
        "Redbury blanket",
    ]);
    for (query, item) in [
        ("redbul", 0),
        ("redbull", 0),
        ("redbullc", 0),
        ("cakest", 1),
        ("tshi", 2),
        ("iphone15p", 3),
        ("iphone15pro", 3),
        ("drmart", 4),
        ("eaudet", 5),
        ("eaudetoilette", 5),
        ("backtosch", 6),
        ("backtoschool", 6),
        ("rocknr", 7),
        ("rocknroll", 7),
        ("rocknroll mug", 7),
    ] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
        assert_eq!(answer.corrected, None, "{query}");
    }
    assert_eq!(found(&reader, "redbu"), [8, 0], "a word comes before two words");
}

#[test]
fn what_only_begins_like_a_word_is_no_hit_where_enough_items_have_the_word() {
    let mut all: Vec<String> = (0..30).map(|i| format!("Tea {i}")).collect();
    all.extend(["Brain teaser".to_owned(), "Coffee".to_owned(), "Coffeepot".to_owned()]);
    let reader = titles(&all.iter().map(|title| &**title).collect::<Vec<_>>());
    assert_eq!((ask(&reader, "tea").total, ask(&reader, "teas ").total), (30, 30));
    assert_eq!(found(&reader, "coffee"), [31, 32]);
    assert_eq!(found(&reader, "tease"), [30]);
}
