//! What the words of a query find: spellings, marks, languages, attributes, typing errors, beginnings, synonyms.

use accrue_event::{Attribute, Item};

use super::{Admitted, Language, Match, Retrieved, SearchField, SearchIndex, SearchReader, SearchSettings, Synonyms};

pub(super) fn item(id: &str, title: &str) -> Item {
    let mut item = Item::bare(id.into());
    item.title = Some(title.into());
    item
}

pub(super) fn shop(language: Language, items: &[Item]) -> SearchReader {
    let settings = SearchSettings { language, ..SearchSettings::default() };
    let mut index = SearchIndex::open(None, settings).unwrap();
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item).unwrap();
    }
    index.commit().unwrap();
    index.reader()
}

pub(super) fn titles_in(language: Language, titles: &[&str]) -> SearchReader {
    let items: Vec<Item> = titles.iter().enumerate().map(|(i, title)| item(&format!("i{i}"), title)).collect();
    shop(language, &items)
}

pub(super) fn titles(all: &[&str]) -> SearchReader {
    titles_in(Language::English, all)
}

pub(super) fn lexical(found: Match) -> Option<Admitted> {
    Some(Admitted { score: found.lexical, product: None })
}

pub(super) fn ask(reader: &SearchReader, query: &str) -> Retrieved {
    reader.retrieve(query, &lexical, 100).unwrap()
}

pub(super) fn found(reader: &SearchReader, query: &str) -> Vec<u32> {
    ask(reader, query).candidates.iter().map(|candidate| candidate.found.item_idx).collect()
}

/// Each query must find exactly these items, in this order.
pub(super) fn check(reader: &SearchReader, expected: &[(&str, &[u32])]) {
    let wrong: Vec<_> = expected
        .iter()
        .map(|(query, items)| (*query, found(reader, query), *items))
        .filter(|(_, got, items)| got != items)
        .collect();
    assert!(wrong.is_empty(), "query, found, expected: {wrong:?}");
}

#[test]
fn signs_behind_a_word_tell_names_apart_and_hide_nothing() {
    let reader = titles(&["C book", "C++ book", "C# book", "Galaxy S20 case", "Galaxy S20+ case", "Cup+saucer"]);
    check(
        &reader,
        &[
            ("c#", &[2, 0, 1]),
            ("C++ book", &[1, 0, 2]),
            ("c book", &[0, 1, 2]),
            ("galaxy s20+", &[4, 3]),
            ("s20", &[3, 4]),
            ("saucer", &[5]),
        ],
    );
    check(&titles(&["C book"]), &[("c#", &[0]), ("c++ book", &[0])]);
}

#[test]
fn words_are_found_joined_apart_and_hyphenated() {
    let reader = titles(&[
        "T-Shirt blue",
        "Wi-Fi router",
        "E-Bike 28 inch",
        "USB-C cable",
        "Dishwasher tablets",
        "Red Bull can",
        "Lunch bag woodland",
        "H&M scarf",
    ]);
    check(
        &reader,
        &[
            ("tshirt", &[0]),
            ("t-shirts", &[0]),
            ("t shirt", &[0]),
            ("wifi", &[1]),
            ("wi fi router", &[1]),
            ("ebike", &[2]),
            ("usbc", &[3]),
            ("usb c cable", &[3]),
            ("dish washer", &[4]),
            ("redbull", &[5]),
            ("lunchbags", &[6]),
            ("hm", &[7]),
        ],
    );
}

#[test]
fn apostrophes_are_typed_or_left_out() {
    let reader = titles(&["L'Oréal shampoo", "O'Neill swim shorts", "Levi's jeans", "Men’s socks", "Children's chair"]);
    let expected: &[(&str, &[u32])] = &[
        ("loreal", &[0]),
        ("l'oreal", &[0]),
        ("l oréal", &[0]),
        ("oneill", &[1]),
        ("o neill", &[1]),
        ("levis", &[2]),
        ("levi’s", &[2]),
        ("levi´s", &[2]),
        ("l´oreal", &[0]),
        ("mens", &[3]),
        ("man's", &[3]),
        ("childrens", &[4]),
        ("child", &[4]),
    ];
    check(&reader, expected);
}

#[test]
fn a_word_is_found_with_and_without_its_marks() {
    let english = titles(&["Crème brûlée", "Puree press", "Łódź poster", "Smørrebrød board", "Straße sign"]);
    check(
        &english,
        &[
            ("creme brulee", &[0]),
            ("brûlée", &[0]),
            ("purée", &[1]),
            ("lodz", &[2]),
            ("smorrebrod", &[3]),
            ("strasse", &[4]),
        ],
    );
    let french = titles_in(Language::French, &["Équipement complet", "Empêchement", "Crème brûlée"]);
    check(&french, &[("equipement", &[0]), ("équipements", &[0]), ("empechement", &[1]), ("brulee", &[2])]);
    let turkish = titles_in(Language::Turkish, &["KADIN AYAKKABI", "İPEK eşarp", "Isparta gülü"]);
    check(
        &turkish,
        &[
            ("kadın", &[0]),
            ("kadin", &[0]),
            ("ipek", &[1]),
            ("İpek", &[1]),
            ("esarp", &[1]),
            ("ısparta", &[2]),
            ("isparta gulu", &[2]),
        ],
    );
    let others = titles(&["שָׁלוֹם ספר", "قَهْوَة عربية", "أحمر", "ΚΑΦΈΣ", "Ёлка", "йогурт"]);
    check(
        &others,
        &[
            ("שלום", &[0]),
            ("قهوة", &[1]),
            ("قهوه", &[1]),
            ("احمر", &[2]),
            ("καφές", &[3]),
            ("καφες", &[3]),
            ("елка", &[4]),
            ("ёлка", &[4]),
            ("иогурт", &[5]),
        ],
    );
}

#[test]
fn a_plural_without_a_rule_is_the_same_word() {
    let reader = titles(&[
        "Kitchen knives",
        "Computer mice",
        "Books for children",
        "Silk scarves",
        "Wall shelves",
        "Glass boxes",
    ]);
    for (i, one) in ["knife", "mouse", "child", "scarf", "shelf", "box"].into_iter().enumerate() {
        assert_eq!(found(&reader, one), [i as u32], "{one}");
    }
}

#[test]
fn numbers_are_found_with_their_units_and_models() {
    let reader = titles(&[
        "Bottle 500ml",
        "Bottle 500 ml",
        "Drill bit 10 mm",
        "iPhone 15 case",
        "Tablet 7\" black",
        "Tablet 7 inch white",
        "HP 85A toner (CE285A)",
        "Paint 2.5 litres",
    ]);
    check(
        &reader,
        &[
            ("bottle 500ml", &[0, 1]),
            ("500 millilitres bottle", &[0, 1]),
            ("10mm", &[2]),
            ("iphone15", &[3]),
            ("7 inch tablet", &[4, 5]),
            ("7\"", &[4, 5]),
            ("7in", &[4, 5]),
            ("hp85a", &[6]),
            ("ce285a", &[6]),
            ("hp 85a", &[6]),
            ("2.5l", &[7]),
            ("2.5 l paint", &[7]),
        ],
    );
}

#[test]
fn a_quantity_is_found_in_another_unit_after_its_own() {
    let reader = titles(&[
        "Bottle 500ml",
        "Bottle 1.5 l",
        "Flour 1kg",
        "Flour 1000 g",
        "Can 50 cl",
        "50% wool",
        "Juice 0.25l",
        "Cable 2 m",
    ]);
    check(
        &reader,
        &[
            ("0.5l bottle", &[0]),
            ("0,5 liter bottle", &[0]),
            ("1000g", &[3, 2]),
            ("1 kg flour", &[2, 3]),
            ("500 mls bottle", &[0]),
            ("1500 ml", &[1]),
            ("1.5l", &[1]),
            ("250ml", &[6]),
            ("200 cm cable", &[7]),
            ("50 percent wool", &[5]),
            ("50 % wool", &[5]),
            ("0.7l", &[]),
            ("2.5 l", &[]),
        ],
    );
    let bottles = ask(&reader, "bottle 0.7l");
    assert_eq!((bottles.total, &*bottles.dropped), (2, &["0".into(), "7l".into()][..]), "no part of a number alone");
}

#[test]
fn a_size_is_found_however_it_is_written() {
    let reader = titles(&[
        "Rug 160x230 cm",
        "Rug 160 x 230 cm",
        "Rug 160×230",
        "Frame 13x18cm",
        "Screw M8x40",
        "Water, 6 x 250 ml",
        "Blanket 130 cm x 170 cm",
        "X-ray apron",
    ]);
    for query in ["rug 160x230", "rug 160 x 230", "rug 160×230", "rug 160 X 230"] {
        let mut all = found(&reader, query);
        all.sort_unstable();
        assert_eq!((all, ask(&reader, query).dropped.len()), (vec![0, 1, 2], 0), "{query}");
    }
    for (query, item) in [
        ("13 x 18", 3),
        ("frame 13 x 18 cm", 3),
        ("18cm", 3),
        ("m8 x 40", 4),
        ("m8", 4),
        ("6x250ml", 5),
        ("250ml", 5),
        ("250 ml water", 5),
        ("130x170cm", 6),
        ("160x2", 0),
        ("xray", 7),
    ] {
        let answer = ask(&reader, query);
        let hits: Vec<u32> = answer.candidates.iter().map(|candidate| candidate.found.item_idx).collect();
        assert!(hits.contains(&item) && answer.dropped.is_empty(), "{query}: {hits:?} {:?}", answer.dropped);
    }
    check(&reader, &[("160 x 231", &[]), ("70 x 140", &[])]);
}

#[test]
fn thousands_are_one_number_however_they_are_grouped() {
    let reader = titles(&["Puzzle 1,000 pieces", "Puzzle 2000 pieces", "Puzzle 1000 pieces", "Puzzle 1.000 Teile"]);
    for query in ["puzzle 1000", "puzzle 1,000", "1.000 puzzle"] {
        let mut all = found(&reader, query);
        all.sort_unstable();
        assert_eq!((all, ask(&reader, query).dropped.len()), (vec![0, 2, 3], 0), "{query}");
    }
    check(&reader, &[("2,000 pieces", &[1]), ("puzzle 2000", &[1])]);
}

#[test]
fn letters_with_dots_and_short_titles_of_persons_are_found_joined() {
    let reader = titles(&[
        "D.I.Y. kit",
        "A.P.C. jeans",
        "S.T.A.L.K.E.R. game",
        "e.l.f. mascara",
        "Dr. Oetker pudding",
        "No. 7 serum",
        "U.S. Polo shirt",
    ]);
    let queries =
        ["diy", "d.i.y kit", "apc", "stalker", "elf mascara", "droetker", "dr. oetker", "no7", "us polo", "u s polo"];
    for (query, item) in queries.into_iter().zip([0, 0, 1, 2, 3, 4, 4, 5, 6, 6]) {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
}

#[test]
fn words_with_several_hyphens_are_found_as_one() {
    let reader = titles(&["Mund-Nasen-Schutz", "Arc-en-ciel", "Jack-o'-lantern", "Mundnasenschutz FFP2"]);
    check(&reader, &[("arcenciel", &[1]), ("jackolantern", &[2]), ("jack-o-lantern", &[2])]);
    for query in ["mundnasenschutz", "mund-nasen-schutz"] {
        let mut all = found(&reader, query);
        all.sort_unstable();
        assert_eq!(all, [0, 3], "{query}");
    }
}

#[test]
fn a_possessive_after_one_letter_is_part_of_the_name() {
    let reader = titles(&["M&M's chocolate", "H&M dress", "Levi's jeans"]);
    check(&reader, &[("mms", &[0]), ("m&ms", &[0]), ("m&m's", &[0, 1]), ("hm", &[1]), ("levis", &[2])]);
}

#[test]
fn a_name_of_two_words_is_found_by_its_initials_after_what_is_called_so() {
    let reader = titles(&[
        "Dolce & Gabbana bag",
        "Marks and Spencer jumper",
        "U.S.A. flag",
        "Black+Decker drill",
        "salt & pepper set",
        "M&S voucher",
        "H&M dress",
        "Milk with Sugar",
    ]);
    for (query, items) in [("d&g", &[0][..]), ("D & G bag", &[0]), ("m&s", &[5, 1]), ("b+d drill", &[3]), ("h&m", &[6])]
    {
        let answer = ask(&reader, query);
        assert_eq!((&*found(&reader, query), answer.dropped.len()), (items, 0), "{query}");
    }
}

#[test]
fn an_article_number_of_digits_is_found_without_its_signs() {
    let reader = titles(&["Playmobil 70-123", "Playmobil 70-124", "Pan Ø28", "Bus 12"]);
    check(&reader, &[("70123", &[0]), ("70-123", &[0]), ("28", &[2]), ("ø28", &[2])]);
}

#[test]
fn words_of_attributes_are_found_after_those_of_titles() {
    let dress = |id: &str, colour: &str, material: &str| {
        let mut dress = item(id, "Summer dress");
        dress.attributes.insert("colour".into(), Attribute::Text(colour.into()));
        dress.attributes.insert("material".into(), Attribute::List(vec![material.into(), "lining".into()]));
        dress.attributes.insert("machine_washable".into(), Attribute::Bool(colour == "blue"));
        dress.attributes.insert("sheet".into(), Attribute::Text("https://shop.example/sheets/velvet".into()));
        dress
    };
    let items = [dress("a", "crimson", "velvet"), dress("b", "blue", "cotton"), item("c", "Blue summer hat")];
    let reader = shop(Language::English, &items);
    check(
        &reader,
        &[
            ("velvet", &[0]),
            ("blue", &[2, 1]),
            ("blue summer dress", &[1]),
            ("washable dress", &[1]),
            ("summer", &[0, 1, 2]),
        ],
    );
    let fields = reader.explain("cotton", &[1]).unwrap().remove(0);
    assert_eq!(fields[0].field, SearchField::Attributes);
}

#[test]
fn an_attribute_that_says_yes_is_a_word_by_its_name() {
    let with = |id: &str, title: &str, name: &str, value: Attribute| {
        let mut item = item(id, title);
        item.attributes.insert(name.into(), value);
        item
    };
    let text = |value: &str| Attribute::Text(value.into());
    let reader = shop(
        Language::English,
        &[
            with("a", "Tea", "organic", text("yes")),
            with("b", "Cup", "hand_made", text("true")),
            with("c", "Plate", "isHandMade", text("Ja")),
            with("d", "Bowl", "hand-made", Attribute::Number(1.0)),
            with("e", "Vase", "handmade", text("no")),
            with("f", "Jar", "dishwasher_safe", text("oui")),
            with("g", "Shoe", "size", text("42")),
            with("h", "Boot", "shoe_size", Attribute::Number(43.0)),
            with("i", "Sandal", "Größe", text("44")),
        ],
    );
    for (query, item) in [
        ("organic tea", 0),
        ("handmade cup", 1),
        ("hand made cup", 1),
        ("handmade plate", 2),
        ("handmade bowl", 3),
        ("dishwasher safe jar", 5),
        ("shoe size 42", 6),
        ("boot size 43", 7),
        ("sandal größe 44", 8),
    ] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
    assert_eq!(ask(&reader, "handmade vase").dropped, ["handmade".into()]);
}

#[test]
fn every_further_word_narrows() {
    let reader = titles(&["red mug", "blue mug", "red plate", "red mug large"]);
    check(&reader, &[("red", &[0, 2, 3]), ("red mug", &[0, 3]), ("red mug large", &[3])]);
}

#[test]
fn words_that_no_item_has_together_are_dropped() {
    let reader = titles(&["red mug", "blue mug", "blue plate", "green velvet"]);
    let none = ask(&reader, "velvet mug");
    assert_eq!((&*none.dropped, none.total), (&["mug".into()][..], 1), "the commoner word tells less");
    let unknown = ask(&reader, "blue mug qqqqxx");
    assert_eq!((&*unknown.dropped, unknown.total), (&["qqqqxx".into()][..], 1));
    assert_eq!(ask(&reader, "blue mug").dropped.len(), 0);
    let mut filtered = reader.read("red mug", true).unwrap();
    let not_first = |found: Match| (found.item_idx != 0).then_some(Admitted { score: found.lexical, product: None });
    let some = filtered.retrieve(&not_first, 10).unwrap();
    assert_eq!((some.total, &*some.dropped), (1, &["red".into()][..]), "all with both words were refused: mugs");
}

#[test]
fn synonyms_find_each_other_below_the_word_itself() {
    let reader = titles(&[
        "Umbrella red",
        "Parasol",
        "Christmas tree",
        "Toy laptop computer",
        "Umbrella for children",
        "Kids table",
        "T-light holder",
        "tealight",
        "vacuum cleaner",
    ]);
    check(
        &reader,
        &[
            ("brolly", &[0, 4]),
            ("kids umbrella", &[4]),
            ("xmas tree", &[2]),
            ("tealight", &[7, 6]),
            ("hoover", &[8]),
            ("vacuum cleaner", &[8]),
        ],
    );
    let own = Synonyms::parse("parasol, umbrella\nnotebook => laptop computer\na, b\nb, c\nc, a\n").unwrap();
    reader.set_synonyms(&own);
    check(&reader, &[("parasol", &[1, 0, 4]), ("notebook", &[3]), ("laptop computer", &[3]), ("brolly", &[0, 4])]);
    reader.set_synonyms(&Synonyms::default());
    check(&reader, &[("parasol", &[1])]);
}

#[test]
fn queries_of_any_kind_are_answered_in_bounded_time() {
    let words: Vec<String> = (0..3_000).map(|i| format!("word{i} kab{} {}", i * 7, "ab".repeat(i % 20))).collect();
    let reader = titles(&words.iter().map(|word| &**word).collect::<Vec<_>>());
    let long = "a".repeat(1_000);
    let storm = "* ".repeat(2_000);
    let many = "wrod1 ".repeat(600);
    for query in [&long, &storm, &many, "w", "wo", "<b>word1</b>", "مرحبا word1", "\"word1", "👩‍👩‍👧 word1", "ab"]
    {
        let started = std::time::Instant::now();
        ask(&reader, query);
        assert!(started.elapsed().as_secs() < 20, "{query:.40}");
    }
}
