use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use accrue_event::{Attribute, Item};
use proptest::prelude::*;

use super::{
    Admitted, MAX_DEPTH, Match, Opened, SearchError, SearchField, SearchIndex, SearchPage, SearchReader,
    SearchSettings, VARIANTS_KEPT,
};

fn item(id: &str, title: &str) -> Item {
    let mut item = Item::bare(id.into());
    item.title = Some(title.into());
    item
}

fn index(items: &[Item]) -> SearchIndex {
    let mut index = SearchIndex::open(None, SearchSettings::default()).unwrap();
    for (i, item) in items.iter().enumerate() {
        index.upsert(i as u32, item).unwrap();
    }
    index.commit().unwrap();
    index
}

fn page(reader: &SearchReader, query: &str) -> SearchPage {
    reader.search(query, &|_| true, 10, 0).unwrap()
}

fn found(reader: &SearchReader, query: &str) -> Vec<u32> {
    page(reader, query).hits.iter().map(|hit| hit.item_idx).collect()
}

fn titles(titles: &[&str]) -> SearchReader {
    let items: Vec<Item> = titles.iter().enumerate().map(|(i, title)| item(&format!("i{i}"), title)).collect();
    index(&items).reader()
}

#[test]
fn stems_accents_and_case_are_one_word() {
    let reader = titles(&["Red Café mugs", "Blue plate", "RED plates"]);
    for query in ["cafe", "CAFÉS", "mug", "Mugs", "cafe\u{301}", "ｍｕｇ"] {
        assert_eq!(found(&reader, query), [0], "{query}");
    }
    assert_eq!(found(&reader, "plate"), [1, 2], "equal scores are ordered by index");
}

#[test]
fn having_every_word_beats_having_a_rare_one_often() {
    let reader = titles(&["zebra zebra zebra", "zebra mug", "mug", "mug red", "mug blue"]);
    assert_eq!(found(&reader, "zebra mug"), [1]);
    let without = page(&titles(&["zebra", "mug"]), "zebra");
    assert_eq!(without.total, 1);
}

#[test]
fn reasons_name_fields_and_words_and_add_up_to_the_score() {
    let mut rich = item("AB-12", "Red coffee mug");
    rich.brand = Some("Mugs & Co".into());
    rich.categories = vec!["Kitchen".into(), "Mugs".into()];
    rich.description = Some("A mug for coffee, holds AB-12 refills".into());
    let index = index(&[rich, item("x", "red plate"), item("y", "coffee")]);
    for query in ["red", "coffee mugs", "the red mug unknownword", "AB-12", "red ab12 refills", "kitchen"] {
        for hit in page(&index.reader(), query).hits {
            let sum: f32 = hit.fields.iter().map(|field| field.contribution).sum();
            assert!((sum - hit.score).abs() <= 1e-4 * hit.score, "{query}: {sum} for {}", hit.score);
            assert_eq!(index.reader().explain(query, &[hit.item_idx]).unwrap()[0], hit.fields);
        }
    }
    let hit = page(&index.reader(), "coffee mugs").hits.remove(0);
    let fields: Vec<_> = hit.fields.iter().map(|field| (field.field, field.terms.join(" "))).collect();
    assert_eq!(
        fields,
        [
            (SearchField::Title, "coffee mugs".to_owned()),
            (SearchField::Brand, "mugs".to_owned()),
            (SearchField::Categories, "mugs".to_owned()),
            (SearchField::Description, "coffee mugs".to_owned()),
        ]
    );
    assert_eq!(index.reader().explain("coffee", &[1, 99]).unwrap(), [vec![], vec![]]);
}

#[test]
fn ids_come_first_and_codes_are_found_however_written() {
    let mut named = item("SKU-42", "Stand");
    named.attributes.insert("ean".into(), Attribute::Text("4006381333931".into()));
    named.attributes.insert("gtin".into(), Attribute::Number(95_205_603_217.0));
    let mut variant = item("v1", "Laptop HP dv7-1211ea silver");
    variant.parent = Some("PARENT-9".into());
    let reader = index(&[
        item("a", "sku 42 sku 42 sku 42"),
        named,
        item("sku-42", "other"),
        variant,
        Item::bare("bare id".into()),
        item("b", "dv7 other 1211ea"),
    ])
    .reader();
    assert_eq!(found(&reader, "SKU-42")[..2], [1, 2], "as written, then in another case");
    assert_eq!(found(&reader, "sku-42")[..2], [2, 1]);
    assert_eq!(found(&reader, "cheap SKU-42 please")[0], 1);
    assert_eq!(found(&reader, "bare id")[0], 4);
    assert_eq!(found(&reader, "4006381333931"), [1]);
    assert_eq!(found(&reader, "95205603217"), [1]);
    assert_eq!(found(&reader, "parent9"), [3]);
    for query in ["dv7-1211ea", "DV71211EA", "dv7 1211ea", "dv7/1211-EA"] {
        assert_eq!(found(&reader, query)[0], 3, "{query}");
    }
    let hit = page(&reader, "SKU-42").hits.remove(0);
    assert_eq!(hit.fields[0].field, SearchField::Id);
    assert!(hit.score >= super::EXACT_ID);
}

#[test]
fn a_number_among_other_words_is_a_word_also_where_an_item_has_it_as_its_id() {
    let reader =
        index(&[item("15", "Rubber mice"), item("5", "Dishwasher"), item("7", "iPhone 15"), item("bottle", "Hat")])
            .reader();
    assert_eq!(found(&reader, "iphone 15"), [2]);
    assert_eq!(found(&reader, "15")[0], 0, "the whole query is an id");
    let reader = index(&[item("5", "Dishwasher"), item("8", "Water bottle"), item("hat", "Cap")]).reader();
    assert_eq!(found(&reader, "bottle 5"), [1]);
    assert_eq!(found(&reader, "hat")[0], 2);
    assert_eq!(found(&reader, "red hat"), [2], "a word that no item has is left out");
}

#[test]
fn a_blank_query_finds_everything_in_order() {
    let reader = titles(&["red mug", "the plate", "of the"]);
    for query in ["", "  ", "\t\n", "\u{3000}"] {
        let page = page(&reader, query);
        assert_eq!(page.total, 3, "{query:?}");
        assert!(page.hits.iter().all(|hit| hit.score == 0.0 && hit.fields.is_empty()));
        assert_eq!(found(&reader, query), [0, 1, 2], "{query:?}");
    }
}

#[test]
fn a_query_of_signs_finds_what_holds_them_or_nothing() {
    let too_long = "x".repeat(100);
    let reader = titles(&["🎄 Christmas mug", "mug", "Flag 🇩🇰", "Bag ❤️ 👍🏽", "5 € voucher", "Red mug !!! ???"]);
    for nothing in [
        "???",
        "---",
        "!!!",
        "\"\" - ( )",
        "*",
        "%",
        "_",
        "\u{301}",
        "\u{fffd}",
        "\u{0}",
        "\u{200b}",
        "\u{200d}",
        "\u{feff}",
        "\u{202e}",
        "\u{200b} \u{ad}",
        "🦄",
        "🇩🇪",
        &too_long,
    ] {
        assert_eq!(page(&reader, nothing).total, 0, "{nothing:?}");
    }
    for (sign, item) in
        [("🎄", 0), ("🎄🎄", 0), (" 🎄 ?", 0), ("🇩🇰", 2), ("❤", 3), ("❤️", 3), ("👍", 3), ("👍🏿", 3), ("€", 4)]
    {
        assert_eq!(found(&reader, sign), [item], "{sign:?}");
    }
    assert_eq!(found(&reader, "mug 🎄")[0], 0, "a sign is one of the query's words");
    assert_eq!(found(&reader, "mug 🦄").len(), 3, "and left out if nothing has it");
    let named = index(&[Item::bare("---".into()), item("b", "mug")]).reader();
    assert_eq!(found(&named, "---"), [0], "it may be an id");
}

#[test]
fn stop_words_count_only_when_alone() {
    let reader = titles(&["red mug", "the plate", "the who the"]);
    assert_eq!(found(&reader, "the"), [2, 1]);
    assert_eq!(found(&reader, "the mug"), [0]);
}

#[test]
fn pages_and_acceptance_are_exact() {
    let all: Vec<Item> = (0..50).map(|i| item(&format!("i{i}"), "mug")).collect();
    let index = index(&all);
    let even = |idx: u32| idx.is_multiple_of(2);
    let page = index.reader().search("mug", &even, 5, 10).unwrap();
    assert_eq!(page.total, 25);
    assert_eq!(page.hits.iter().map(|hit| hit.item_idx).collect::<Vec<_>>(), [20, 22, 24, 26, 28]);
    assert_eq!(index.reader().search("", &even, 2, 24).unwrap().hits[0].item_idx, 48);
    for (limit, offset) in [(10, 25), (0, 0), (usize::MAX, usize::MAX), (1, MAX_DEPTH)] {
        let page = index.reader().search("mug", &even, limit, offset).unwrap();
        assert_eq!((page.total, page.hits.len()), (25, 0));
    }
}

#[test]
fn variants_count_once_and_the_best_of_each_product_come_back() {
    // Product p of item i is i / 20 for the first 100 items; the others are alone.
    let all: Vec<Item> = (0..130).map(|i| item(&format!("i{i}"), "mug")).collect();
    let reader = index(&all).reader();
    let worth = |item: u32| (item * 37 % 130) as f32;
    let admit = |found: Match| {
        let product = (found.item_idx < 100).then_some(found.item_idx / 20);
        Some(Admitted { score: worth(found.item_idx), product })
    };
    let mut last: Option<Vec<u32>> = None;
    for limit in [35, 20, 3, 0] {
        let retrieved = reader.retrieve("mug", &admit, limit).unwrap();
        assert_eq!(retrieved.total, 5 + 30);
        let products: HashSet<_> = retrieved
            .candidates
            .iter()
            .map(|c| c.product.map_or(1_000 + c.found.item_idx, |product| product))
            .collect();
        assert_eq!(products.len(), limit);
        for product in 0..5 {
            let n = retrieved.candidates.iter().filter(|c| c.product == Some(product)).count();
            assert!(n == 0 || n == VARIANTS_KEPT, "{n}");
        }
        assert!(retrieved.candidates.is_sorted_by(|a, b| a.score > b.score));
        let items: Vec<u32> = retrieved.candidates.iter().map(|c| c.found.item_idx).collect();
        if let Some(last) = last {
            assert!(items.iter().all(|item| last.contains(item)), "a shorter list is a part of a longer one");
        }
        last = Some(items);
    }
}

#[test]
fn two_words_are_found_written_as_one() {
    let reader = titles(&["Regency cakestand", "cake tin", "mirror stand", "cake stand", "plate"]);
    assert_eq!(found(&reader, "cake stand")[..2], [3, 0], "as written first");
    assert_eq!(found(&reader, "cake-stands")[..2], [3, 0]);
    assert_eq!(found(&reader, "stand cake"), [3], "not in another order");
    let all = reader.retrieve(
        "cake stand",
        &|found| Some(Admitted { score: f32::from(u8::from(found.has_all)), product: None }),
        9,
    );
    let has_all = |c: &super::Candidate| (c.found.item_idx, c.score == 1.0);
    assert_eq!(all.unwrap().candidates.iter().map(has_all).collect::<Vec<_>>(), [(0, true), (3, true)]);
}

#[test]
fn a_retired_item_is_gone_before_the_commit() {
    let reader = titles(&["mug", "mug"]);
    assert_eq!(reader.search("mug", &|idx| idx != 0, 10, 0).unwrap().total, 1);
}

#[test]
fn changes_show_with_the_commit_that_is_due() {
    let mut index = index(&[item("a", "mug")]);
    let reader = index.reader();
    assert!(!index.commit_if_due(1_000).unwrap(), "there is nothing to commit");
    index.upsert(0, &item("a", "plate")).unwrap();
    index.upsert(0, &item("a", "bowl")).unwrap();
    index.upsert(1, &item("b", "bowl")).unwrap();
    index.remove(1).unwrap();
    assert_eq!(found(&reader, "mug"), [0]);
    assert!(index.commit_if_due(1_000).unwrap());
    assert_eq!((found(&reader, "mug"), found(&reader, "plate"), found(&reader, "bowl")), (vec![], vec![], vec![0]));
    index.remove(0).unwrap();
    assert!(!index.commit_if_due(1_199).unwrap());
    assert!(index.commit_if_due(1_200).unwrap());
    assert_eq!((reader.n_items(), index.n_pending()), (0, 0));
}

#[test]
fn languages_of_items_are_found_by_their_own_stems() {
    let mut german = item("de", "Häuser aus Holz");
    german.locale = Some("de-AT".into());
    let index = index(&[item("en", "wooden houses"), german]);
    assert_eq!(found(&index.reader(), "haus"), [1], "an English stemmer leaves 'häuser' as it is");
    assert_eq!(found(&index.reader(), "house"), [0]);
}

/// Titles, queries and relevant items on which other search servers were measured too.
#[test]
fn chinese_titles_are_found() {
    let reader = titles(&[
        "苹果手机壳 透明防摔",
        "华为手机充电器 65W快充",
        "无线蓝牙耳机 降噪",
        "有线耳机 带麦克风",
        "笔记本电脑包 15.6英寸",
        "游戏笔记本电脑 RTX4060",
        "机械键盘 青轴",
        "无线鼠标 静音",
        "电脑显示器 27英寸",
        "平板电脑 10.9英寸",
        "儿童手表 定位",
        "数码相机 微单",
        "相机三脚架",
        "咖啡机 全自动",
        "咖啡豆 意式",
        "电动牙刷",
        "牙刷架 免打孔",
        "空气净化器 家用",
        "加湿器 大容量",
        "红米手机 128GB",
        "充电宝 20000毫安",
        "手机支架 桌面",
        "行李箱 20寸",
        "书包 小学生",
    ]);
    let judged: [(&str, &[u32]); 14] = [
        ("手机", &[0, 1, 19, 21]),
        ("手机壳", &[0]),
        ("耳机", &[2, 3]),
        ("蓝牙耳机", &[2]),
        ("笔记本", &[4, 5]),
        ("笔记本电脑", &[4, 5]),
        ("电脑包", &[4]),
        ("充电器", &[1]),
        ("鼠标", &[7]),
        ("相机", &[11, 12]),
        ("咖啡", &[13, 14]),
        ("牙刷", &[15, 16]),
        ("净化器", &[17]),
        ("无线耳机", &[2]),
    ];
    let (mut recall, mut precision, mut at_top) = (0.0, 0.0, 0);
    for (query, relevant) in judged {
        let got = found(&reader, query);
        let right = got.iter().filter(|idx| relevant.contains(idx)).count() as f64;
        recall += right / relevant.len() as f64 / judged.len() as f64;
        precision += right / got.len().max(1) as f64 / judged.len() as f64;
        let top = got.first().is_some_and(|idx| relevant.contains(idx));
        at_top += usize::from(top);
        if right < relevant.len() as f64 || !top {
            println!("{query}: {got:?}, relevant {relevant:?}");
        }
    }
    println!("Chinese: recall {recall:.2}, precision {precision:.2}, relevant at the top {at_top} of 14");
    assert!(recall >= 0.95 && precision >= 0.73 && at_top == 14);
    assert_eq!(found(&titles(&["コーヒーカップ", "カメラ"]), "カップ"), [0]);
}

#[test]
fn unusual_queries_are_answered() {
    let reader = titles(&["red mug", "mug \"quoted\" (x)"]);
    let long = "mug ".repeat(2_500);
    let words: String = (0..2_000).map(|i| format!("w{i} ")).collect();
    let han = "手机壳".repeat(1_200);
    for query in
        ["\"mug", "mug AND (", "title:mug^2 -red", "*", "[a TO b]", "\\", &long, &words, &han, "mug\u{0}\u{feff}"]
    {
        assert!(page(&reader, query).total <= 2);
    }
    assert_eq!(page(&reader, &long).total, 2);
}

#[test]
fn many_threads_read_while_one_writes() {
    let mut index = index(&[item("a", "mug")]);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let reader = index.reader();
            scope.spawn(move || (0..200).for_each(|_| assert_eq!(found(&reader, "mug")[0], 0)));
        }
        for i in 1..10 {
            index.upsert(i, &item(&format!("i{i}"), "mug and plate")).unwrap();
            index.commit().unwrap();
        }
    });
    assert_eq!(index.reader().n_items(), 10);
}

/// A temporary folder, removed when dropped.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("accrue-search-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        Self(path)
    }

    fn open(&self) -> Result<SearchIndex, SearchError> {
        SearchIndex::open(Some(&self.0), SearchSettings::default())
    }

    fn fill(&self) {
        let mut index = self.open().unwrap();
        index.upsert(0, &item("a", "mug")).unwrap();
        index.upsert(1, &item("b", "red plate")).unwrap();
        index.set_covered(7);
        index.commit().unwrap();
        index.close().unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_index_resumes_from_its_last_commit() {
    let folder = Folder::new("goes-on");
    {
        let mut index = folder.open().unwrap();
        assert_eq!((index.opened(), index.covered()), (&Opened::Created, 0));
        assert!(matches!(folder.open(), Err(SearchError::Busy { .. })));
        index.upsert(0, &item("a", "mug")).unwrap();
        index.set_covered(5);
        index.commit().unwrap();
        index.set_covered(6);
        index.commit().unwrap();
        index.upsert(1, &item("b", "lost mug")).unwrap();
        index.set_covered(9);
    }
    let index = folder.open().unwrap();
    assert_eq!((index.opened(), index.covered()), (&Opened::Continued, 6));
    assert_eq!(found(&index.reader(), "mug"), [0]);
}

#[test]
fn an_index_of_another_language_or_kind_is_rebuilt_and_other_files_are_left_alone() {
    let folder = Folder::new("foreign");
    folder.fill();
    let settings = SearchSettings { language: super::Language::German, ..SearchSettings::default() };
    let index = SearchIndex::open(Some(&folder.0), settings).unwrap();
    assert!(matches!(index.opened(), Opened::Rebuilt { .. }));
    assert_eq!((index.covered(), index.reader().n_items()), (0, 0));
    drop(index);

    let other = Folder::new("other-schema");
    std::fs::create_dir_all(&other.0).unwrap();
    let mut schema = tantivy::schema::Schema::builder();
    schema.add_u64_field("x", tantivy::schema::FAST);
    drop(tantivy::Index::create_in_dir(&other.0, schema.build()).unwrap());
    assert!(matches!(other.open().unwrap().opened(), Opened::Rebuilt { .. }));

    let documents = Folder::new("documents");
    std::fs::create_dir_all(&documents.0).unwrap();
    std::fs::write(documents.0.join("thesis.txt"), "years of work").unwrap();
    assert!(matches!(documents.open(), Err(SearchError::NotAnIndex { .. })));
    assert!(documents.0.join("thesis.txt").exists());

    // A process that was killed while it made the index leaves what it had not renamed.
    let begun = Folder::new("begun");
    std::fs::create_dir_all(&begun.0).unwrap();
    std::fs::write(begun.0.join(".tmpAb3xYz"), "{").unwrap();
    assert_eq!(*begun.open().unwrap().opened(), Opened::Created);
    assert!(!begun.0.join(".tmpAb3xYz").exists());
}

#[test]
fn a_damaged_file_is_detected_and_the_index_rebuilt() {
    let whole = Folder::new("whole");
    whole.fill();
    let names: Vec<_> = std::fs::read_dir(&whole.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let mut n_rebuilt = 0;
    for name in names.iter().filter(|name| !name.to_string_lossy().ends_with(".lock")) {
        let bytes = std::fs::read(whole.0.join(name)).unwrap();
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 3] ^= 0x15;
        for broken in [Some(&bytes[..bytes.len() / 2]), Some(&[][..]), Some(&flipped[..]), None] {
            let folder = Folder::new("broken");
            copy(&whole.0, &folder.0);
            match broken {
                Some(bytes) => std::fs::write(folder.0.join(name), bytes).unwrap(),
                None => std::fs::remove_file(folder.0.join(name)).unwrap(),
            }
            let mut index = folder.open().unwrap_or_else(|error| panic!("{name:?}: {error}"));
            match index.opened() {
                // The file's content is known from elsewhere; then nothing may be missing.
                Opened::Continued => {
                    assert_eq!((found(&index.reader(), "mug"), index.covered()), (vec![0], 7), "{name:?}")
                }
                Opened::Rebuilt { reason } => {
                    assert!(!reason.is_empty());
                    n_rebuilt += 1;
                    assert_eq!((index.reader().n_items(), index.covered()), (0, 0));
                }
                Opened::Created => panic!("{name:?}: taken for an empty folder"),
            }
            index.upsert(0, &item("a", "bowl")).unwrap();
            index.commit().unwrap();
            assert_eq!(found(&index.reader(), "bowl"), [0]);
            index.close().unwrap();
        }
    }
    assert!(n_rebuilt >= 4 * (names.len() - 4), "{n_rebuilt} rebuilds of {} files", names.len());
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[derive(Clone, Debug)]
enum Change {
    Upsert(u32, Vec<u8>),
    Remove(u32),
    Commit,
}

const WORDS: [&str; 8] = ["mug", "red", "plate", "häuser", "手机", "dv7-12ab", "the", "mugs"];

fn titled(idx: u32, words: &[u8]) -> Item {
    let words: Vec<&str> = words.iter().map(|word| WORDS[usize::from(*word) % WORDS.len()]).collect();
    let mut item = item(&format!("id{idx}"), &words.join(" "));
    item.locale = (words.len() == 3).then(|| "de".into());
    item
}

/// A second implementation of BM25 over plain lists of words; `forms` are the spellings of each Western word.
fn naive_scores(items: &BTreeMap<u32, Item>, forms: &[&str]) -> Vec<(u32, f32)> {
    let words = |item: &Item| -> Vec<String> {
        let text = item.title.as_deref().unwrap_or("").replace("手机", "手机 手 机 机");
        text.split([' ', '-']).filter(|word| !word.is_empty()).map(str::to_owned).collect()
    };
    let texts: Vec<_> =
        items.iter().map(|(idx, item)| (*idx, words(item))).filter(|(_, words)| !words.is_empty()).collect();
    let n = texts.len() as f64;
    let mean = texts.iter().map(|(_, words)| words.len()).sum::<usize>() as f64 / n.max(1.0);
    let tf = |words: &[String]| words.iter().filter(|word| forms.contains(&word.as_str())).count() as f64;
    let df = texts.iter().filter(|(_, words)| tf(words) > 0.0).count() as f64;
    let idf = (1.0 + (n - df + 0.5) / (df + 0.5)).ln();
    let score = |words: &[String]| {
        let length = words.len() as f64;
        (idf * 2.2 * tf(words) / (tf(words) + 1.2 * (0.25 + 0.75 * length / mean.max(1.0)))) as f32
    };
    let mut scores: Vec<_> =
        texts.iter().filter(|(_, words)| tf(words) > 0.0).map(|(idx, words)| (*idx, score(words))).collect();
    scores.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    scores
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn commits_merges_and_deletes_change_no_answer(
        changes in prop::collection::vec(prop_oneof![
            6 => (0..24_u32, prop::collection::vec(any::<u8>(), 0..6)).prop_map(|(idx, words)| Change::Upsert(idx, words)),
            2 => (0..24_u32).prop_map(Change::Remove),
            1 => Just(Change::Commit),
        ], 1..80),
    ) {
        let mut grown = SearchIndex::open(None, SearchSettings::default()).unwrap();
        let mut items = BTreeMap::new();
        for change in changes {
            match change {
                Change::Upsert(idx, words) => {
                    grown.upsert(idx, &titled(idx, &words)).unwrap();
                    items.insert(idx, titled(idx, &words));
                }
                Change::Remove(idx) => {
                    grown.remove(idx).unwrap();
                    items.remove(&idx);
                }
                Change::Commit => grown.commit().unwrap(),
            }
        }
        grown.commit().unwrap();
        let mut fresh = SearchIndex::open(None, SearchSettings::default()).unwrap();
        for (idx, item) in items.iter().rev() {
            fresh.upsert(*idx, item).unwrap();
        }
        fresh.commit().unwrap();
        for query in ["", "mug", "red mugs", "haus plate", "手机 dv712ab", "the", "id3 mug", "nothing red"] {
            let (grown, fresh) = (page(&grown.reader(), query), page(&fresh.reader(), query));
            prop_assert_eq!(&grown, &fresh, "{}", query);
            let distinct: HashSet<u32> = grown.hits.iter().map(|hit| hit.item_idx).collect();
            prop_assert_eq!(distinct.len(), grown.hits.len());
        }
        let expected = naive_scores(&items, &["mug", "mugs"]);
        let lexical = |found: Match| Some(Admitted { score: found.lexical, product: None });
        let got = fresh.reader().retrieve("mug", &lexical, 100).unwrap();
        prop_assert_eq!(got.candidates.len(), expected.len());
        for (got, (_, expected)) in got.candidates.iter().zip(&expected) {
            prop_assert!((got.score - expected).abs() < 1e-4 * expected.max(1.0), "{} {}", got.score, expected);
        }
    }
}
