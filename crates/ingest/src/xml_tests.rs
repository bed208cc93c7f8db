//! Documents of XML as feeds have them, and hostile ones.

use std::io::Cursor;
use std::path::Path;

use accrue_event::{Mapping, RecordKind};

use super::*;

fn read(text: &[u8], toml: &[(&str, &str)]) -> Vec<String> {
    let mut mapping = Mapping { kind: RecordKind::Items, ..Mapping::default() };
    toml.iter().for_each(|(field, column)| mapping.add_pair(field, column));
    let settings = ReadSettings { mapping, ..ReadSettings::default() };
    let bytes = Cursor::new(text.to_vec());
    let mut reader = Reader::from_bytes(Path::new("feed.xml"), bytes, &settings, &Progress::default()).unwrap();
    let mut records = Vec::new();
    loop {
        let batch = match reader.next_batch(2) {
            Ok(batch) => batch,
            Err(error) => {
                records.push(format!("! {error}"));
                return records;
            }
        };
        if batch.entries.is_empty() {
            return records;
        }
        records.extend(batch.entries.iter().zip(batch.lines).map(|(entry, line)| match entry {
            Entry::Item(item) => format!("{line}: {}", item.to_json()),
            Entry::Unreadable(refusal) => format!("{line}: {}", refusal.rejection),
            other => panic!("{other:?}"),
        }));
    }
}

#[test]
fn feeds_of_rss_and_atom_have_products_with_the_names_of_google() {
    let rss = r#"<?xml version="1.0"?>
<rss xmlns:g="http://base.google.com/ns/1.0" version="2.0"><channel>
<title>Shop</title><link>https://s.example</link>
<item><g:id>1</g:id><title>Caf&#233; &amp; more</title><g:title><![CDATA[Press <3]]></g:title><g:price>9.90 EUR</g:price>
<g:shipping><g:price>4 EUR</g:price></g:shipping></item>
<item>
<g:id>2</g:id><g:title>Salt & pepper &eacute;</g:title><g:product_type>Kitchen &gt; Mugs</g:product_type>
<g:product_type>New</g:product_type><g:brand/></item>
</channel></rss>"#;
    let pairs = [("categories", "product_type")];
    let expected = [
        r#"4: {"id":"1","title":"Press <3","price":9.9,"currency":"EUR","attributes":{"shipping":{"price":"4 EUR"}}}"#,
        r#"6: {"id":"2","title":"Salt & pepper &eacute;","categories":["Kitchen","Mugs","New"]}"#,
    ];
    assert_eq!(read(rss.as_bytes(), &pairs), expected);
    let atom = r#"<feed xmlns="http://www.w3.org/2005/Atom" xmlns:g="http://base.google.com/ns/1.0"><title>Shop</title>
<entry><id>tag:x</id><g:id>1</g:id><title>Press</title><link href="https://s.example/1"/></entry></feed>"#;
    assert_eq!(
        read(atom.as_bytes(), &[]),
        [r#"2: {"id":"1","title":"Press","attributes":{"link":{"href":"https://s.example/1"}}}"#]
    );
}

#[test]
fn plain_lists_are_found_by_what_repeats() {
    let list = "<shop><name>S</name><goods>\n<ware id='1'><name>Mug</name><price currency='EUR'>9</price>\
                <param name='Colour'>Red</param></ware>\n<ware id='2'><name>Cup</name></ware></goods></shop>";
    let found = read(list.as_bytes(), &[("currency", "price@currency")]);
    assert_eq!(
        found,
        [
            r#"2: {"id":"1","title":"Mug","price":9,"currency":"EUR","attributes":{"param":{"name":"Colour","value":"Red"}}}"#,
            r#"3: {"id":"2","title":"Cup"}"#
        ]
    );
    assert_eq!(
        read(b"<products><product><id>7</id><name>Mug</name></product></products>", &[]),
        [r#"1: {"id":"7","title":"Mug"}"#]
    );
    let nested =
        "<products><product><id>1</id><images><item>a.jpg</item><item>b.jpg</item></images></product></products>";
    assert_eq!(read(nested.as_bytes(), &[("image", "images.item[0]")]), [r#"1: {"id":"1","image":"a.jpg"}"#]);
    let languages = "<p><product><id>1</id><title lang='de'>Tasse</title><title lang='en'>Mug</title></product></p>";
    assert_eq!(read(languages.as_bytes(), &[]), [r#"1: {"id":"1","title":{"de":"Tasse","en":"Mug"}}"#]);
    let markup = "<p><product><id>1</id><description>Our <b>best</b> mug</description></product></p>";
    assert_eq!(read(markup.as_bytes(), &[]), [r#"1: {"id":"1","description":"Our  best mug"}"#]);
}

#[test]
fn encodings_are_recognised() {
    let declared =
        b"<?xml version='1.0' encoding='ISO-8859-1'?><p><product><id>1</id><title>Caf\xe9</title></product></p>";
    let wrong = b"<?xml version='1.0' encoding='UTF-8'?><p><product><id>1</id><title>Caf\xe9</title></product></p>";
    let marked = "\u{feff}<p><product><id>1</id><title>Café</title></product></p>";
    let utf16: Vec<u8> =
        "\u{feff}<?xml version='1.0' encoding='UTF-16'?><p><product><id>1</id><title>Café</title></product></p>"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
    for text in [&declared[..], wrong, marked.as_bytes(), &utf16] {
        assert_eq!(read(text, &[]), [r#"1: {"id":"1","title":"Café"}"#]);
    }
}

fn attributes(n: usize) -> String {
    (0..n).map(|n| format!("a{n}='' ")).collect()
}

#[test]
fn a_record_of_many_names_is_read() {
    let children: String = (0..25_000).map(|n| format!("<a{n}>1</a{n}>")).collect();
    let text = format!("<p><product><id>1</id>{children}<b {}/></product></p>", attributes(10_000));
    let found = read(text.as_bytes(), &[]);
    assert_eq!(found.len(), 1);
    assert!(found[0].contains(r#""a24999":"1""#), "{}", &found[0][..100]);
}

#[test]
fn hostile_and_damaged_documents_are_refused_with_their_line() {
    let entities = "<!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;'>]>\n<p><product><id>&b;</id></product></p>";
    let (first, _) =
        read(entities.as_bytes(), &[])[0].split_once(';').map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap();
    assert!(first.starts_with("! ") && first.ends_with("line 1: no XML: a document type that declares entities"));
    let good = "<product><id>1</id></product>\n";
    let deep = format!("<p>{good}<product>{}", "<a>".repeat(100_000));
    let many = format!("<p>{good}<product>{}</product></p>", "<a/>".repeat(200_000));
    let names = format!("<p>{good}<product {}></product></p>", attributes(200_000));
    let names_inside = format!("<p>{good}<product><a {}/></product></p>", attributes(200_000));
    let cases: [(&str, usize, &str); 8] = [
        (&names, 2, "too many elements"),
        (&names_inside, 2, "too many elements"),
        (&format!("<p>{good}<product><id>2"), 2, "ends inside <product>"),
        (&format!("<p>{good}"), 2, "the document ends inside <p>"),
        (&format!("<p>{good}<product><id>2</name></product></p>"), 2, "no XML"),
        (&format!("<p>{good}<product id='2></product></p>"), 2, "no XML"),
        (&deep, 2, "too many in one another"),
        (&many, 2, "too many elements"),
    ];
    for (text, line, why) in cases {
        let found = read(text.as_bytes(), &[]);
        assert_eq!(found[0], r#"1: {"id":"1"}"#);
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[1].starts_with("! ") && found[1].contains(&format!("line {line}: no XML")), "{}", found[1]);
        assert!(found[1].contains(why) && found[1].len() < 300, "{}", found[1]);
    }
    assert!(read(b"<products></products>", &[]).is_empty() || read(b"<products></products>", &[]).len() == 1);
}

#[test]
fn an_element_that_is_too_long_ends_the_file() {
    let text =
        format!("<p><product><id>1</id></product><product><title>{}</title></product></p>", "x".repeat(17 << 20));
    let found = read(text.as_bytes(), &[]);
    assert!(found[1].contains("longer than 16 MiB"), "{}", &found[1][..100]);
}
