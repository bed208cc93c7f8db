//! What the words of a query find: spellings, marks, languages, attributes, typing errors, beginnings, synonyms.

use accrue_event::{Attribute, Item};

use super::{Admitted, Language, Match, Retrieved, SearchField, SearchIndex, SearchReader, SearchSettings, Synonyms};

fn item(id: &str, title: &str) -> Item {
    let mut item = Item::bare(id.into());
    item.title = Some(title.into());
    item
}

fn shop(language: Language, items: &[Item]) -> SearchReader {
    let settings = SearchSettings { language, ..SearchSettings::default() };
    let mut index = SearchIndex::open(None, settings).unwrap();
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item).unwrap();
    }
    index.commit().unwrap();
    index.reader()
}

fn titles_in(language: Language, titles: &[&str]) -> SearchReader {
    let items: Vec<Item> = titles.iter().enumerate().map(|(i, title)| item(&format!("i{i}"), title)).collect();
    shop(language, &items)
}

fn titles(all: &[&str]) -> SearchReader {
    titles_in(Language::English, all)
}

fn lexical(found: Match) -> Option<Admitted> {
    Some(Admitted { score: found.lexical, product: None })
}

fn ask(reader: &SearchReader, query: &str) -> Retrieved {
    reader.retrieve(query, &lexical, 100).unwrap()
}

fn found(reader: &SearchReader, query: &str) -> Vec<u32> {
    ask(reader, query).candidates.iter().map(|candidate| candidate.found.item_idx).collect()
}

/// Each query must find exactly these items, in this order.
fn check(reader: &SearchReader, expected: &[(&str, &[u32])]) {
    let wrong: Vec<_> = expected
        .iter()
        .map(|(query, items)| (*query, found(reader, query), *items))
        .filter(|(_, got, items)| got != items)
        .collect();
    assert!(wrong.is_empty(), "query, found, expected: {wrong:?}");
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
fn an_article_number_of_digits_is_found_without_its_signs() {
    let reader = titles(&["Playmobil 70-123", "Playmobil 70-124", "Pan Ø28", "Bus 12"]);
    check(&reader, &[("70123", &[0]), ("70-123", &[0]), ("28", &[2]), ("ø28", &[2])]);
}

#[test]
fn compounds_are_found_by_their_last_part() {
    let german = titles_in(
        Language::German,
        &["Schuhe", "Kinderschuhe rot", "Schlüsselanhänger", "Terrassenschrauben", "Anhänger Silber", "Schraube M4"],
    );
    check(
        &german,
        &[
            ("Schuhe", &[0, 1]),
            ("schuh", &[0, 1]),
            ("Kinder Schuhe", &[1]),
            ("Kinderschuh", &[1]),
            ("Anhänger", &[4, 2]),
            ("anhanger", &[4, 2]),
            ("Schrauben", &[5, 3]),
        ],
    );
    let english = titles(&["Notebook", "Book"]);
    assert_eq!(found(&english, "book"), [1], "English is written apart");
}

#[test]
fn two_words_find_the_compound_that_joins_them_with_a_letter() {
    let reader = titles_in(
        Language::German,
        &[
            "Duftkerze weiß",
            "Duftkerze rot",
            "Geburtstagskerze",
            "Wollsocken",
            "Baumwoll-T-Shirt",
            "Sonnenschirm",
            "Socken",
        ],
    );
    for (query, item) in [("geburtstag kerze", 2), ("wolle socken", 3), ("sonne schirm", 5), ("geburtstags kerze", 2)] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
}

/// A title, and queries that must find it.
type Titled = (&'static str, &'static [&'static str]);

/// In each language, the titles must be found by each of their queries.
fn check_languages(cases: &[(Language, &[Titled])]) {
    let mut wrong = Vec::new();
    for (language, rows) in cases {
        let all: Vec<&str> = rows.iter().map(|(title, _)| *title).collect();
        let reader = titles_in(*language, &all);
        for (i, (title, queries)) in rows.iter().enumerate() {
            for query in *queries {
                let answer = ask(&reader, query);
                let is_found = answer.candidates.iter().any(|candidate| candidate.found.item_idx == i as u32);
                if !is_found || !answer.dropped.is_empty() || answer.corrected.is_some() {
                    wrong.push((*language, *title, *query, answer.corrected));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn compounds_are_found_by_short_words_and_by_words_whose_stem_differs() {
    use Language::*;
    check_languages(&[
        (
            German,
            &[
                ("Arbeitshose", &["hose", "hosen"]),
                ("Trinkdose", &["dose"]),
                ("Bodenvase", &["vase"]),
                ("Herrenarmbanduhr", &["uhr", "armbanduhr"]),
                ("Ostereier", &["eier"]),
                ("Spannbettlaken", &["laken"]),
            ],
        ),
        (Danish, &[("Vinterjakke", &["jakke", "jakker"]), ("Kaffekop", &["kop", "kopper"]), ("Børnesko", &["sko"])]),
        (
            Dutch,
            &[
                ("Kinderfiets", &["fiets"]),
                ("Regenjassen", &["jas", "jassen"]),
                ("Schoenenrek", &["rek"]),
                ("Wijnglazen", &["glas"]),
                ("Keukenmessen", &["mes", "messen"]),
            ],
        ),
        (Swedish, &[("Barnskor", &["skor", "sko"]), ("Vinterstövlar", &["stövel", "stövlar"])]),
        (
            Finnish,
            &[
                ("Kahvikuppi", &["kuppi"]),
                ("Talvikengät", &["kenkä", "kengät"]),
                ("Talvitakki", &["takit"]),
                ("Kesätakit", &["takki"]),
                ("Aurinkolasit", &["lasit"]),
            ],
        ),
        (Hungarian, &[("Kerékpártáska", &["táska", "táskák"])]),
    ]);
}

#[test]
fn plurals_that_stemmers_do_not_know_are_found() {
    use Language::*;
    check_languages(&[
        (
            English,
            &[
                ("Bus model", &["buses"]),
                ("Gas stove", &["gases"]),
                ("Quiz book", &["quizzes"]),
                ("Index cards", &["indices"]),
                ("Dormice print", &["dormouse"]),
                ("Lens cloth", &["lenses"]),
            ],
        ),
        (
            Spanish,
            &[
                ("Lápiz", &["lápices", "lapices", "lapiz"]),
                ("Luz", &["luces"]),
                ("Pez", &["peces"]),
                ("Nuez", &["nueces"]),
                ("Dulces", &["dulce"]),
            ],
        ),
        (
            Portuguese,
            &[
                ("Balão", &["balões", "baloes", "balao"]),
                ("Papel", &["papéis", "papeis"]),
                ("Anel", &["anéis"]),
                ("Azul", &["azuis"]),
                ("Moda infantil", &["infantis"]),
                ("Animais", &["animal"]),
                ("Pão", &["pães"]),
            ],
        ),
        (
            Dutch,
            &[
                ("Glas", &["glazen"]),
                ("Ei", &["eieren"]),
                ("Kind", &["kinderen"]),
                ("Schip", &["schepen"]),
                ("Stad", &["steden"]),
                ("Huizen", &["huis"]),
            ],
        ),
        (Swedish, &[("Bok", &["böcker", "bocker"]), ("Fot", &["fötter"]), ("Öga", &["ögon"]), ("Sko", &["skor"])]),
        (Norwegian, &[("Fot", &["føtter"]), ("Sko", &["skoene"]), ("Bok", &["bøker"])]),
        (
            German,
            &[
                ("Kaktus", &["kakteen"]),
                ("Atlas", &["atlanten"]),
                ("Globus", &["globen"]),
                ("Fotoalben", &["fotoalbum", "album"]),
                ("Museum", &["museen"]),
                ("Konto", &["konten"]),
            ],
        ),
        (
            Finnish,
            &[("Takki", &["takit", "takkeja"]), ("Kenkä", &["kengät"]), ("Käsi", &["kädet"]), ("Sukat", &["sukka"])],
        ),
        (Italian, &[("Uomo", &["uomini"])]),
        (Turkish, &[("Çanta", &["çantalar", "cantalar"]), ("Arabalar", &["araba"])]),
        (Hungarian, &[("Ló", &["lovak"]), ("Kabátok", &["kabát"]), ("Ajándék", &["ajándékok", "ajándékot"])]),
        (Romanian, &[("Masă", &["mese"])]),
        (Russian, &[("Туфли", &["туфель"]), ("Сумка", &["сумок"]), ("Подарки", &["подарок"])]),
        (Arabic, &[("ساعات", &["ساعة"])]),
    ]);
}

#[test]
fn a_word_of_a_script_without_blanks_is_found_inside_a_title() {
    let reader =
        titles(&["รองเท้าแตะชาย", "หมวกกันน็อคสำหรับรถจักรยานยนต์ขนาดใหญ่", "コーヒーカップ", "手機殼 透明", "蓝牙耳机"]);
    check(
        &reader,
        &[
            ("รองเท้า", &[0]),
            ("แตะ", &[0]),
            ("หมวก", &[1]),
            ("จักรยานยนต์", &[1]),
            ("カップ", &[2]),
            ("手机壳", &[3]),
            ("手機", &[3]),
            ("藍牙", &[4]),
            ("erji", &[4]),
            ("lan ya", &[4]),
        ],
    );
}

#[test]
fn korean_words_are_found_inside_longer_ones_and_with_or_without_blanks() {
    let reader = titles(&["한국화장품세트", "여성원피스", "무선 이어폰", "LG전자 TV"]);
    check(
        &reader,
        &[
            ("화장품", &[0]),
            ("화장품 세트", &[0]),
            ("원피스", &[1]),
            ("무선이어폰", &[2]),
            ("이어폰", &[2]),
            ("lg 전자", &[3]),
            ("신발", &[]),
        ],
    );
}

#[test]
fn a_long_vowel_at_the_end_and_the_order_of_thai_signs_do_not_count() {
    let reader = titles(&["コンピュータ", "コンピューター台", "コーヒー豆", "น้ำหอม"]);
    check(&reader, &[("コンピューター", &[0, 1]), ("コンピュータ", &[0, 1]), ("コーヒー", &[2])]);
    check(&reader, &[("น้ำหอม", &[3]), ("น\u{e4d}\u{e49}\u{e32}หอม", &[3])]);
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
        ("XKCD-", 9),
        ("xkcd ab", 9),
        ("sku_12/", 10),
    ] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
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

#[test]
fn han_words_inside_longer_ones_come_after_the_words_themselves() {
    let reader = titles(&[
        "实木大衣柜",
        "女士羊毛大衣",
        "鲜花生日蛋糕",
        "五香花生",
        "大容量保温水壶",
        "不锈钢保温马克杯",
        "简易衣柜",
        "充电宝 20000毫安",
        "移动电源 10000毫安",
        "蓝牙鼠标",
    ]);
    check(
        &reader,
        &[
            ("大衣", &[1, 0]),
            ("衣柜", &[6, 0]),
            ("花生", &[3, 2]),
            ("保温杯", &[5]),
            ("充电宝", &[7, 8]),
            ("行動電源", &[8, 7]),
            ("滑鼠", &[9]),
            ("chongdianbao", &[7]),
            ("的大衣", &[1, 0]),
        ],
    );
    let own = Synonyms::parse("外套, 大衣\n").unwrap();
    reader.set_synonyms(&own);
    let mut coats = found(&reader, "外套");
    coats.sort_unstable();
    assert_eq!(coats, [0, 1], "a synonym of several characters");
}
