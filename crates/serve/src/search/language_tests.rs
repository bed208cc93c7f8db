//! What the words of a query find in each language: compounds, plurals, scripts without blanks.

use super::word_tests::{ask, check, found, titles, titles_in};
use super::{Language, Synonyms};

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
    use Language::*;
    check_languages(&[
        (
            German,
            &[
                ("Weihnachtsbaum", &["weihnachten baum", "weihnacht baum"]),
                ("Hundefutter", &["hund futter", "hunde futter"]),
                ("Kinderwagen", &["kind wagen"]),
                ("Schulbuch", &["schule buch"]),
                ("Männerschuhe", &["mann schuhe", "männer schuhe"]),
                ("Bücherregal", &["buch regal"]),
            ],
        ),
        (Swedish, &[("Dammskor", &["dam skor"]), ("Julgran", &["jul gran"]), ("Flickjacka", &["flicka jacka"])]),
        (Dutch, &[("Zonnebril", &["zon bril"]), ("Kinderjas", &["kind jas"]), ("Boekenkast", &["boek kast"])]),
        (Danish, &[("Børnesko", &["børn sko"]), ("Juletræ", &["jul træ"])]),
    ]);
}

#[test]
fn a_compound_finds_titles_that_have_its_parts_apart() {
    let reader = titles_in(
        Language::German,
        &["Winterjacke Damen", "Hemd für Herren", "Jacke Herren", "Damen Handschuhe", "Weihnachtskugeln für den Baum"],
    );
    for (query, item) in [("damenjacke", 0), ("herrenhemden", 1), ("herrenjacke", 2), ("damenhandschuh", 3)] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
    assert!(found(&reader, "damenhemd").is_empty(), "no title has both parts");
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
                ("Spielzeugauto", &["autos", "auto"]),
            ],
        ),
        (Danish, &[("Vinterjakke", &["jakke", "jakker"]), ("Kaffekop", &["kop", "kopper"]), ("Børnesko", &["sko"])]),
        (
            Dutch,
            &[
                ("Kinderfiets", &["fiets", "fietsen"]),
                ("Regenjassen", &["jas", "jassen"]),
                ("Schoenenrek", &["rek"]),
                ("Wijnglazen", &["glas"]),
                ("Keukenmessen", &["mes", "messen"]),
                ("Broodmes", &["broodmessen"]),
                ("Regenlaarzen", &["regenlaars", "laars"]),
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
                ("People puzzle", &["person"]),
                ("Bus ticket holder", &["busses"]),
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
                ("Pães", &["pão", "pao"]),
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
        (
            Swedish,
            &[
                ("Bok", &["böcker", "bocker"]),
                ("Fot", &["fötter"]),
                ("Öga", &["ögon"]),
                ("Sko", &["skor"]),
                ("Möss", &["mus"]),
            ],
        ),
        (
            Norwegian,
            &[
                ("Fot", &["føtter"]),
                ("Sko", &["skoene"]),
                ("Bok", &["bøker"]),
                ("Gjess", &["gås"]),
                ("Trær", &["tre"]),
                ("Juletre", &["juletrær"]),
            ],
        ),
        (Danish, &[("Øjne", &["øje"]), ("Gæs", &["gås"]), ("Nætter", &["nat"]), ("Børn", &["barn"])]),
        (
            French,
            &[
                ("Émaux", &["émail", "email"]),
                ("Belle lampe", &["beau", "belles"]),
                ("Chaussure neuve", &["neuf", "neufs"]),
                ("Journaux", &["journal"]),
            ],
        ),
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
        (
            Romanian,
            &[
                ("Masă", &["mese"]),
                ("Fete", &["fată", "fata"]),
                ("Genți", &["geantă", "geanta"]),
                ("Flori", &["floare"]),
                ("Mere", &["măr"]),
                ("Tablouri", &["tablou"]),
                ("Ceasuri", &["ceas"]),
                ("Pături", &["pătură"]),
            ],
        ),
        (
            Russian,
            &[
                ("Туфли", &["туфель"]),
                ("Сумка", &["сумок"]),
                ("Подарки", &["подарок"]),
                ("Дети", &["ребёнок", "ребенок"]),
                ("Люди", &["человек"]),
                ("Уши", &["ухо"]),
                ("Цветы", &["цветок", "цветов"]),
            ],
        ),
        (
            Arabic,
            &[
                ("ساعات", &["ساعة"]),
                ("أحذية", &["حذاء", "الأحذية"]),
                ("حقائب", &["حقيبة"]),
                ("سكاكين", &["سكين"]),
                ("أكواب", &["كوب"]),
                ("قميص", &["قمصان"]),
                ("أطفال", &["طفل", "للأطفال"]),
                ("ألعاب", &["لعبة"]),
            ],
        ),
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
fn two_words_typed_as_one_lose_nothing_where_they_meet_in_scripts_without_blanks() {
    let reader = titles(&[
        "กระเป๋าเป้สะพายหลังผู้ชาย",
        "โต๊ะทำงานไม้",
        "コーヒーメーカー",
        "ヴァイオリン 4/4",
        "ワイヤレスイヤホン",
        "りんごジュース",
    ]);
    for (query, item) in [
        ("เป้ผู้ชาย", 0),
        ("โต๊ะไม้", 1),
        ("コーヒメーカー", 2),
        ("バイオリン", 3),
        ("ばいおりん", 3),
        ("ヴァイオリン", 3),
        ("わいやれす", 4),
        ("リンゴ", 5),
    ] {
        let answer = ask(&reader, query);
        assert_eq!((found(&reader, query), answer.dropped.len()), (vec![item], 0), "{query}");
    }
    assert!(!ask(&reader, "コーヒーカップ").dropped.is_empty(), "the cup is missing");
}

#[test]
fn a_chinese_noun_is_found_with_and_without_its_suffix() {
    let reader = titles(&["不锈钢保温杯500ml", "女士连衣裙夏季", "运动鞋男款", "充电器", "面包"]);
    check(&reader, &[("杯子", &[0]), ("裙子", &[1]), ("鞋子", &[2]), ("电子", &[]), ("包子", &[])]);
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
