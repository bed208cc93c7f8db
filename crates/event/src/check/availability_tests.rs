//! Words and attributes that say whether an item may be shown, as systems write them.

use super::super::words_of_exports::FALSE;
use super::*;

fn read_text(text: &str) -> Option<Option<bool>> {
    read(&RawValue::text(text), &[]).ok()
}

#[test]
fn words_of_shop_systems_are_understood() {
    for shown in
        ["in stock", "InStock", "in_stock", "https://schema.org/InStock", "http://schema.org/PreOrder", "instock"]
    {
        assert_eq!(read_text(shown), Some(Some(true)), "{shown}");
    }
    for shown in
        ["TRUE", "1", "12", "yes", "onbackorder", "available for order", "auf Lager", "active", "schema:InStock"]
    {
        assert_eq!(read_text(shown), Some(Some(true)), "{shown}");
    }
    for hidden in
        ["out of stock", "OutOfStock", "https://schema.org/SoldOut", "Sold Out", "discontinued", "f", "off", "0"]
    {
        assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
    }
    for hidden in [
        "0.0",
        "-3",
        "draft",
        "trash",
        "unavailable",
        "ausverkauft",
        "rupture de stock",
        "http://www.schema.org/Discontinued",
    ] {
        assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
    }
    for hidden in ["Sold out until May", "currently not available", "leider nicht mehr lieferbar", "No longer sold"] {
        assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
    }
    assert_eq!(read_text("  "), Some(None));
}

#[test]
fn words_of_the_usual_languages_are_understood() {
    for shown in [
        "有貨",
        "出售中",
        "在庫あり",
        "판매중",
        "skladem",
        "В наличии",
        "em estoque",
        "Stokta var",
        "dostępny",
        "en stock",
    ] {
        assert_eq!(read_text(shown), Some(Some(true)), "{shown}");
    }
    for hidden in [
        "下架",
        "已下架",
        "缺货",
        "停售",
        "仓库中",
        "暂时缺货",
        "缺貨中",
        "売り切れ",
        "販売終了",
        "일시 품절",
        "vyprodáno",
        "Нет в наличии",
        "esgotado",
        "Tükendi",
        "niedostępny",
        "wycofany ze sprzedaży",
        "Nicht bestellbar",
        "Fuori produzione",
        "rupture",
        "slut i lager",
    ] {
        assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
    }
    for word in SOLD {
        assert!(!NOT_SOLD.contains(word) && !WITHDRAWN.contains(word), "{word} has two meanings");
        assert_eq!(compact(word).as_deref(), Some(*word));
    }
    for word in NOT_SOLD.iter().chain(WITHDRAWN) {
        assert_eq!(compact(word).as_deref(), Some(*word));
    }
}

#[test]
fn a_text_in_place_of_the_number_of_pieces_is_read_or_states_none() {
    let read = |text: &str| pieces(text, &mut Repairs::default());
    for text in ["in stock", "Unlimited", "∞", "Unbegrenzt", "不限"] {
        assert_eq!(read(text), Some(None), "{text}");
    }
    for (text, n) in [("sold out", 0), ("out of stock, back in 3 weeks", 0), ("10+", 10), ("> 100", 100), ("5 pcs", 5)]
    {
        assert_eq!(read(text), Some(Some(n)), "{text}");
    }
    for text in ["ask us", "?", "NaN", "in 3 weeks", "99999999999999999999x"] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn a_draft_or_removed_product_is_hidden_whatever_its_availability() {
    let of = |name: &str, value: RawValue| read(&RawValue::Bool(true), &[(name.into(), value)]).unwrap();
    for (name, value) in [
        ("status", RawValue::text("Draft")),
        ("catalog_visibility", RawValue::text("hidden")),
        ("Published", RawValue::text("FALSE")),
        ("is_active", RawValue::Int(0)),
        ("deleted", RawValue::Bool(true)),
        ("sold_out", RawValue::text("yes")),
        ("gesperrt", RawValue::text("J")),
        ("上架状态", RawValue::text("下架")),
        ("商品状态", RawValue::text("仓库中")),
        ("商品狀態", RawValue::text("已下架")),
        ("是否上架", RawValue::text("否")),
        ("公開状態", RawValue::text("非公開")),
        ("판매상태", RawValue::text("판매 중지")),
        ("Artikelstatus", RawValue::text("gesperrt")),
        ("Statut", RawValue::text("Désactivé")),
        ("Estado", RawValue::text("Descatalogado")),
        ("Stato", RawValue::text("Bozza")),
        ("Stav produktu", RawValue::text("Skryto")),
        ("Статус", RawValue::text("Снят с продажи")),
        ("Ürün durumu", RawValue::text("Pasif")),
        ("status", RawValue::text("discontinued")),
        // As in the products of Stripe, Odoo, JTL and Lightspeed.
        ("active", RawValue::Bool(false)),
        ("active", RawValue::text("0")),
        ("Aktiv", RawValue::text("N")),
        ("actif", RawValue::text("FAUX")),
        ("Can be Sold", RawValue::text("False")),
        ("product_enabled", RawValue::text("no")),
        // A word for false and for true under every form of its name.
        ("inactive", RawValue::Bool(true)),
        ("isInactive", RawValue::text("T")),
        ("product_deleted", RawValue::Bool(true)),
        ("product_is_deleted", RawValue::Int(1)),
        ("是否下架", RawValue::text("是")),
        ("private", RawValue::text("yes")),
        ("product_sold_out", RawValue::text("yes")),
        ("lifecycle_status", RawValue::text("Retired")),
        ("status", RawValue::text("0")),
    ] {
        assert_eq!(of(name, value), Some(false), "{name}");
    }
    for (name, value) in [
        ("status", RawValue::text("publish")),
        ("status", RawValue::text("new arrival")),
        ("published", RawValue::text("2024-03-01")),
        ("deleted", RawValue::Int(0)),
        ("Aktiv", RawValue::text("J")),
        ("active", RawValue::text("noise cancelling")),
        ("status", RawValue::Int(1)),
        ("hidden", RawValue::text("zip pocket")),
        ("gesperrt", RawValue::text("N")),
        ("上架状态", RawValue::text("上架")),
        ("商品状态", RawValue::text("出售中")),
        ("estado", RawValue::text("usado")),
        ("status", RawValue::text("no")),
        ("status", RawValue::text("Retired")),
        ("status", RawValue::text("brak")),
        ("durum", RawValue::text("yok")),
        ("inactive", RawValue::text("F")),
        ("是否下架", RawValue::text("否")),
        ("island", RawValue::text("no")),
        ("可售", RawValue::Int(0)),
        ("concept", RawValue::text("online")),
    ] {
        assert_eq!(of(name, value), Some(true), "{name}");
    }
}

#[test]
fn a_flag_that_hides_a_product_withdraws_its_variants_too() {
    let of = |name: &str, value: Attribute| is_withdrawn(&[(name.into(), value)].into_iter().collect());
    for name in ["inactive", "isInactive", "product_deleted", "是否下架", "gesperrt", "archived"] {
        assert!(of(name, Attribute::Bool(true)) && !of(name, Attribute::Bool(false)), "{name}");
    }
    for name in ["published", "product_published", "is_active", "product_is_visible", "是否上架", "Aktiv"] {
        assert!(of(name, Attribute::Bool(false)) && !of(name, Attribute::Bool(true)), "{name}");
    }
    for name in ["sold_out", "discontinued", "colour"] {
        assert!(!of(name, Attribute::Bool(true)), "{name}");
    }
    assert!(!of("orderable", Attribute::Bool(false)));
}

#[test]
fn a_word_that_is_turned_round_is_not_understood() {
    for unknown in [
        "품절임박",
        "不缺货",
        "未下架",
        "没有下架",
        "完売間近品切れ間近",
        "not sold out",
        "fast ausverkauft",
        "casi agotado",
    ] {
        assert_eq!(read_text(unknown), None, "{unknown}");
    }
    for hidden in ["현재 품절", "暂时缺货中", "sold out, not coming back", "leider ausverkauft"] {
        assert_eq!(read_text(hidden), Some(Some(false)), "{hidden}");
    }
}

#[test]
fn a_word_that_is_not_understood_refuses_the_record() {
    for unknown in ["perhaps", "ask us", "?", "NaN", "https://schema.org/Whatever"] {
        assert_eq!(read_text(unknown), None, "{unknown}");
    }
    assert_eq!(read_text(&"in stock ".repeat(100)), None);
    for value in [RawValue::List(Vec::new()), RawValue::Other("{}".into()), RawValue::Float(f64::NAN)] {
        let rejection = read(&value, &[]).unwrap_err();
        assert_eq!(rejection.reason, Reason::BadAvailability);
        assert!(rejection.detail.starts_with("available: "), "{rejection}");
    }
    assert_eq!(read(&RawValue::Float(0.0), &[]), Ok(Some(false)));
}

#[test]
fn the_fields_of_other_systems_count_where_availability_itself_is_missing() {
    let of = |name: &str, word: &str| read(&RawValue::Null, &[(name.into(), RawValue::text(word))]).ok();
    assert_eq!(of("stock_status", "outofstock"), Some(Some(false)));
    assert_eq!(of("availability", "out of stock"), Some(Some(false)));
    assert_eq!(of("is_in_stock", "1"), Some(Some(true)));
    assert_eq!(of("availability", " "), Some(None));
    assert_eq!(of("availability", "in two weeks"), None);
    assert_eq!(of("colour", "off"), Some(None));
    assert_eq!(of("product_is_available", "false"), Some(Some(false)));
    assert_eq!(of("available", "FALSCH"), Some(Some(false)));
    assert_eq!(of("in_stock", "VRAI"), Some(Some(true)));
}

#[test]
fn each_language_says_yes_no_in_stock_sold_out_and_hidden() {
    for [yes, no, in_stock, sold_out, hidden] in [
        ["yes", "no", "in stock", "sold out", "hidden"],
        ["ja", "nein", "auf Lager", "ausverkauft", "versteckt"],
        ["oui", "non", "en stock", "épuisé", "masqué"],
        ["sí", "no", "en existencia", "agotado", "oculto"],
        ["sì", "no", "disponibile", "esaurito", "nascosto"],
        ["ja", "nee", "op voorraad", "uitverkocht", "verborgen"],
        ["tak", "nie", "w magazynie", "wyprzedany", "ukryty"],
        ["ano", "ne", "skladem", "vyprodáno", "skryto"],
        ["áno", "nie", "skladom", "vypredané", "skryté"],
        ["sim", "não", "em estoque", "esgotado", "oculto"],
        ["да", "нет", "в наличии", "распродано", "скрыт"],
        ["是", "否", "有货", "售罄", "隐藏"],
        ["はい", "いいえ", "在庫あり", "売り切れ", "非表示"],
        ["예", "아니오", "재고 있음", "품절", "숨김"],
        ["evet", "hayır", "stokta", "tükendi", "gizli"],
        ["ja", "nej", "på lager", "udsolgt", "skjult"],
        ["ja", "nei", "på lager", "utsolgt", "skjult"],
        ["ja", "nej", "i lager", "slutsåld", "dold"],
        ["kyllä", "ei", "varastossa", "loppuunmyyty", "piilotettu"],
    ] {
        for (text, is_sold) in [(yes, true), (no, false), (in_stock, true), (sold_out, false), (hidden, false)] {
            assert_eq!(read_text(text), Some(Some(is_sold)), "{text}");
        }
        let state = |text: &str| is_hidden_by("status", &RawValue::text(text));
        assert!(state(hidden) && !state(yes) && !state(no) && !state(in_stock), "{hidden}");
        let withdrawn = |text: &str| says_withdrawn(&RawValue::text(text));
        assert!(withdrawn(hidden) && withdrawn(no) && !withdrawn(sold_out) && !withdrawn(yes), "{hidden}");
    }
}

#[test]
fn false_as_a_state_hides_nothing_in_any_language() {
    for word in FALSE {
        for name in ["Status", "Statut", "Estado", "状态"] {
            assert!(!is_hidden_by(name, &RawValue::text(*word)), "{name}: {word}");
        }
        assert!(says_withdrawn(&RawValue::text(word.to_uppercase())), "{word}");
        let lists = [SOLD, NOT_SOLD, WITHDRAWN];
        assert!(lists.iter().all(|words| !words.contains(word)), "{word} stands in two lists");
    }
}
