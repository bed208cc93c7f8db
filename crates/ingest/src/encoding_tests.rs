//! Texts in other encodings than UTF-8, and those whose encoding cannot be told.

use accrue_event::{Mapping, RecordKind};

use super::ReadSettings;
use super::tests::{open, read, read_with_notes};

#[test]
fn texts_in_other_encodings_are_read() {
    let items = |encoding: Option<&str>| ReadSettings {
        mapping: Mapping { kind: RecordKind::Items, encoding: encoding.map(Into::into), ..Mapping::default() },
        ..ReadSettings::default()
    };
    let item = |line: u64, id: &str, title: &str| format!("{line}: {{\"id\":{id:?},\"title\":{title:?}}}");
    let expected = [item(2, "A", "Große Schüssel"), item(3, "B", "Mug"), item(4, "C", "5 €")];
    let text = "id,title\nA,Große Schüssel\nB,Mug\nC,5 €\n";
    let (western, _, _) = encoding_rs::WINDOWS_1252.encode(text);
    for given in [None, Some("cp1252"), Some("windows-1252")] {
        let notes: Vec<String> = given.is_none().then(|| "windows-1252".to_owned()).into_iter().collect();
        assert_eq!(read_with_notes("a.csv", &western, &items(given)), (expected.to_vec(), notes));
    }
    assert_eq!(read_with_notes("a.csv", text.as_bytes(), &items(None)), (expected.to_vec(), Vec::new()));
    let utf16: Vec<u8> = "\u{FEFF}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(read_with_notes("a.csv", &utf16, &items(None)), (expected.to_vec(), vec!["UTF-16LE".to_owned()]));
    let unknown = open("a.csv", b"id\n", &items(Some("klingon"))).err().unwrap().to_string();
    assert!(unknown.contains("no known encoding"), "{unknown}");
}

#[test]
fn texts_of_an_encoding_that_is_not_recognised_are_refused() {
    let settings = |encoding: Option<&str>| {
        let mapping = Mapping { kind: RecordKind::Items, encoding: encoding.map(Into::into), ..Mapping::default() };
        ReadSettings { mapping, ..ReadSettings::default() }
    };
    for (label, title) in [
        ("windows-1251", "Кофе молотый"),
        ("koi8-r", "Кофе молотый"),
        ("windows-1253", "Καφές φίλτρου"),
        ("windows-1255", "כוס קפה"),
        ("windows-874", "กาแฟ"),
        ("gbk", "咖啡杯"),
        ("shift_jis", "コーヒーカップ"),
    ] {
        let text = format!("id,title\nA,{title}\n");
        let bytes = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(&text).0.into_owned();
        let (found, error) = read("a.csv", &bytes, &settings(None));
        let error = error.unwrap_or_else(|| panic!("{label}: {found:?}")).to_string();
        assert!(error.contains("do not tell their encoding; name it: `--encoding windows-1251`"), "{label}: {error}");
        let (found, _) = read("a.csv", &bytes, &settings(Some(label)));
        assert_eq!(found, [format!(r#"2: {{"id":"A","title":"{title}"}}"#)], "{label}");
    }
    for label in ["windows-1250", "iso-8859-2"] {
        let text = "id,title\nA,Miska biała duża\n";
        let bytes = encoding_rs::Encoding::for_label(label.as_bytes()).unwrap().encode(text).0.into_owned();
        let (found, error) = read("a.csv", &bytes, &settings(None));
        assert!(error.is_none(), "{label}: {error:?}");
        assert_eq!(found, [r#"2: {"id":"A","title":"Miska biała duża"}"#], "{label}");
    }
    for title in
        ["Créée à l’été", "Œuf n° 3 – 5 cm³", "Größe m²", "Ísafjörður óþægilegt", "ÅÄÖ på ö", "¿Qué? «año»", "Ñandú"]
    {
        let text = format!("id,title\nA,{title}\nB,Tasse für Café\n");
        let bytes = encoding_rs::WINDOWS_1252.encode(&text).0.into_owned();
        let (found, error) = read("a.csv", &bytes, &settings(None));
        assert!(error.is_none(), "{title}: {error:?}");
        assert_eq!(found[0], format!(r#"2: {{"id":"A","title":"{title}"}}"#));
    }
}
