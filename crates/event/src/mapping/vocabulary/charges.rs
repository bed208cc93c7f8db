//! What the lines of orders name that is no product: postage, packing, discounts, vouchers, gift cards, deposits, fees, tips.

use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use super::super::words::{plain, words};

/// Words that say it whatever follows them: `Rabatt Stammkunden`, `Versandkosten Ausland`. Of several words, all in their order.
#[rustfmt::skip]
const PHRASES: &[&str] = &[
    "shipping cost", "shipping costs", "shipping fee", "shipping fees", "shipping charge", "shipping charges",
    "shipping and handling", "shipping handling", "postage and packing", "delivery charge", "delivery charges", "delivery cost",
    "delivery costs", "delivery fee", "handling fee", "packing fee", "discount code", "discount coupon", "coupon code",
    "promo code", "payment fee", "service fee", "cod fee", "small order fee", "rounding difference", "versandkosten",
    "versandkostenpauschale", "versandpauschale", "versandspesen", "portokosten", "frachtkosten", "lieferkosten", "liefergebühr",
    "verpackungskosten", "verpackungspauschale", "verpackung und versand", "porto und verpackung", "porto verpackung",
    "nachnahmegebühr", "zahlungsgebühr", "mindermengenzuschlag", "expresszuschlag", "rabatt", "mengenrabatt", "kundenrabatt",
    "neukundenrabatt", "preisnachlass", "skonto", "aktionsgutschein", "rabattgutschein", "gutscheincode", "rabattcode",
    "pfandgebühr", "frais de port", "frais d expédition", "frais de livraison", "frais d envoi", "frais de dossier",
    "frais de gestion", "bon de réduction", "code promo", "gastos de envío", "gastos envío", "costes de envío", "coste de envío",
    "gastos de transporte", "gastos de gestión", "descuento", "spese di spedizione", "spese spedizione", "spese di trasporto",
    "costi di spedizione", "spese di consegna", "sconto", "buono sconto", "verzendkosten", "bezorgkosten", "verpakkingskosten",
    "administratiekosten", "korting", "kortingscode", "kortingsbon", "koszt wysyłki", "koszty wysyłki", "koszt dostawy",
    "koszty dostawy", "koszt przesyłki", "koszty przesyłki", "opłata za dostawę", "zniżka", "kod rabatowy", "poštovné", "balné",
    "poštovné a balné", "dopravné", "cena dopravy", "náklady na dopravu", "sleva", "slevový kupón", "slevový kód", "záloha na obal",
    "zľava", "custo de envio", "custos de envio", "portes de envio", "taxa de entrega", "despesas de envio", "frete", "desconto",
    "cupom de desconto", "стоимость доставки", "услуги доставки", "почтовые расходы", "скидка", "промокод", "залог за тару",
    "kargo ücreti", "kargo bedeli", "teslimat ücreti", "gönderim ücreti", "nakliye ücreti", "hizmet bedeli", "indirim",
    "indirim kuponu", "fraktkostnad", "fraktavgift", "rabattkod", "leveringsomkostninger", "fragtgebyr", "toimituskulut", "alennus",
];

/// As [`PHRASES`], of words that products begin with too: what follows is no word but one of [`COMPANIONS`], a number or a code.
/// A `Gift card holder` is a product, and so is `Rabat magnétique`.
#[rustfmt::skip]
const OPENINGS: &[&str] = &[
    "gift card", "gift voucher", "gift certificate", "store credit", "bottle deposit", "nachlass", "gutschein", "gutscheine",
    "geschenkgutschein", "warengutschein", "wertgutschein", "flaschenpfand", "pfandbetrag", "trinkgeld", "remise", "bon d achat",
    "chèque cadeau", "carte cadeau", "avoir", "consigne", "pourboire", "cupón", "vale de regalo", "tarjeta regalo",
    "tarjeta de regalo", "cheque regalo", "propina", "buono regalo", "carta regalo", "cauzione", "contrassegno", "mancia",
    "cadeaubon", "cadeaukaart", "waardebon", "statiegeld", "fooi", "rabat", "bon podarunkowy", "karta podarunkowa", "kaucja",
    "napiwek", "dárkový poukaz", "dárková karta", "dobírka", "dobierka", "darčekový poukaz", "spropitné", "cupom", "cupão",
    "vale presente", "cartão presente", "vale oferta", "gorjeta", "подарочный сертификат", "подарочная карта", "чаевые",
    "hediye kartı", "hediye çeki", "depozito", "bahşiş", "presentkort", "gavekort", "lahjakortti",
];

/// Words that say it alone, or with words from [`COMPANIONS`]: a `shipping box` is a product.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "shipping", "postage", "delivery", "freight", "handling", "packing", "packaging", "discount", "coupon", "voucher", "giftcard",
    "rebate", "refund", "deposit", "surcharge", "fee", "tip", "gratuity", "rounding", "adjustment",
    "total", "subtotal", "summe", "gesamt", "gesamtsumme", "zwischensumme", "totale", "totaal", "suma", "razem", "celkem", "итого", "合計", "小計", "合计",
    "versand", "fracht", "lieferung", "verpackung", "porto", "pfand", "kaution", "gebühr", "zuschlag", "nachnahme", "rundung",
    "rundungsdifferenz", "expressversand", "standardversand",
    "livraison", "expédition", "transport", "emballage", "réduction", "acompte", "arrondi",
    "envío", "transporte", "entrega", "portes", "depósito", "redondeo", "spedizione", "trasporto", "consegna", "imballaggio",
    "deposito", "arrotondamento", "verzending", "verzenden", "bezorging", "borg", "afronding",
    "wysyłka", "dostawa", "przesyłka", "kurier", "opakowanie", "doprava", "doručení", "záloha", "zaokrouhlení", "balení", "zaokrúhlenie",
    "envio", "доставка", "пересылка", "почта", "залог", "упаковка", "купон", "kupon", "kargo", "teslimat", "nakliye", "frakt", "fragt", "levering", "toimitus",
];

/// What stands beside such a word: carriers, ways and destinations.
#[rustfmt::skip]
const COMPANIONS: &[&str] = &[
    "dhl", "ups", "gls", "dpd", "hermes", "fedex", "tnt", "usps", "colissimo", "chronopost", "mondial", "relay", "correos", "seur",
    "mrw", "brt", "sda", "poste", "postnl", "bpost", "inpost", "paczkomat", "paczkomaty", "kurier", "kuriér", "zásilkovna", "zasilkovna",
    "ppl", "cdek", "сдэк", "почта", "россии", "post", "paket", "päckchen", "parcel", "standard", "standaard", "express", "expres",
    "premium", "priority", "economy", "prime", "free", "kostenlos", "kostenfrei", "versandkostenfrei", "gratuit", "gratuite", "gratis",
    "grátis", "бесплатная", "darmowa", "zdarma", "ücretsiz", "standart", "inland", "ausland", "national", "international",
    "internationaal", "domestic", "worldwide", "eu", "uk", "us", "usa", "at", "ch", "de", "fr", "es", "it", "nl", "be", "pl", "cz", "pt",
    "deutschland", "österreich", "schweiz", "germany", "austria", "france", "italia", "españa", "portugal", "nederland", "belgië",
    "polska", "nach", "within", "to", "and", "und", "et", "y", "e", "en", "by", "per", "via", "par", "por", "mit", "with", "in", "innerhalb",
    "inkl", "incl", "excl", "zzgl", "vat", "mwst", "tva", "iva", "btw", "eur", "usd", "gbp", "chf", "pln", "kč", "cost", "costs", "fee", "fees",
    "charge", "charges", "code", "tracked", "signed", "insured", "versichert", "suivi", "home", "hause", "domicile", "domicilio", "store",
    "pickup", "click", "collect", "abholung", "selbstabholung", "next", "day", "order", "line", "total", "method", "rate", "flat",
];

/// As [`PHRASES`], of scripts that put no blanks between words: with it a short text begins.
#[rustfmt::skip]
const BEGINNINGS: &[&str] = &[
    "运费", "邮费", "快递费", "配送费", "物流费", "包装费", "服务费", "手续费", "优惠券", "满减", "抵扣", "红包抵扣", "代金券", "押金",
    "定金", "差价", "补差价", "补差", "打赏", "運費", "郵費", "快遞費", "配送費", "物流費", "包裝費", "服務費", "手續費", "優惠券", "滿減", "抵用券",
    "禮券", "購物金", "押金", "補差價", "折價券", "送料", "配送料", "手数料", "代引手数料", "決済手数料", "梱包料", "値引き",
    "保証金", "ポイント利用", "배송비", "배송료", "택배비", "수수료", "포장비", "적립금", "보증금",
];

/// As [`BEGINNINGS`], of words that products begin with too, such as `クーポンケース`: nothing follows but a number, or another
/// word of a charge.
#[rustfmt::skip]
const OPENINGS_WITHOUT_BLANKS: &[&str] = &[
    "折扣", "礼品卡", "购物卡", "禮品卡", "割引", "値引", "クーポン", "ギフト券", "ギフトカード", "商品券", "할인", "쿠폰", "기프트카드", "상품권",
];

/// Words that follow one of [`OPENINGS_WITHOUT_BLANKS`].
#[rustfmt::skip]
const ENDINGS_WITHOUT_BLANKS: &[&str] = &[
    "券", "码", "碼", "元", "金额", "金額", "抵扣", "優惠", "优惠", "コード", "利用", "適用", "分", "円", "額", "코드", "적용", "사용", "원", "금액", "권",
];

/// Letters that may follow one of [`BEGINNINGS`].
const MAX_REST: usize = 8;

/// Longer texts describe something.
const MAX_BYTES: usize = 120;

/// Whether the name or the number of a line says that it is no product.
///
/// ```
/// use accrue_event::is_charge;
///
/// for charge in ["Versandkosten", "VERSAND-DE", "Rabatt 10 %", "Frais de port", "运费补差价", "送料", "Shipping (DHL)"] {
///     assert!(is_charge(charge), "{charge}");
/// }
/// for product in ["Versandkarton 20 x 30", "Shipping box", "Portobello", "Rabattschild", "包装礼盒"] {
///     assert!(!is_charge(product), "{product}");
/// }
/// ```
pub fn is_charge(text: &str) -> bool {
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_BYTES {
        return false;
    }
    if !text.is_ascii() && (BEGINNINGS.iter().any(|begin| is_begun_with(text, begin)) || is_opened_without_blanks(text))
    {
        return true;
    }
    let words = words(text);
    let known = &*KNOWN;
    let starts_with = |phrases: &HashMap<String, Vec<Vec<String>>>| {
        let phrases = words.first().and_then(|first| phrases.get(first)).map(Vec::as_slice).unwrap_or_default();
        phrases.iter().filter(|phrase| words.starts_with(phrase)).map(Vec::len).max()
    };
    if starts_with(&known.phrases).is_some() {
        return true;
    }
    let is_beside = |word: &String| {
        let is_number = word.len() <= 4 && word.bytes().all(|byte| byte.is_ascii_digit());
        is_number || known.companions.contains(word) || known.words.contains(word)
    };
    let codes = codes(text);
    if let Some(n) = starts_with(&known.openings)
        && words[n..].iter().all(|word| is_beside(word) || codes.contains(word))
    {
        return true;
    }
    // The number of an article such as `TIP-200` is none.
    let is_number_of_article = !text.contains(char::is_whitespace) && words.len() > 1;
    let says_it = |word: &&String| known.words.contains(*word) && (!is_number_of_article || word.chars().count() >= 5);
    // `DHL Versand` has its word behind the others.
    words.iter().any(|word| says_it(&word)) && words.iter().all(is_beside)
}

fn is_begun_with(text: &str, begin: &str) -> bool {
    text.strip_prefix(begin).is_some_and(|rest| rest.chars().filter(|c| c.is_alphanumeric()).count() <= MAX_REST)
}

fn is_opened_without_blanks(text: &str) -> bool {
    let Some(rest) = OPENINGS_WITHOUT_BLANKS.iter().find_map(|begin| text.strip_prefix(begin)) else { return false };
    let rest = rest.trim_matches(|c: char| !c.is_alphanumeric() || c.is_numeric());
    let goes_on = |words: &[&str]| words.iter().any(|word| is_begun_with(rest, word));
    rest.is_empty()
        || rest.is_ascii()
        || goes_on(BEGINNINGS)
        || goes_on(OPENINGS_WITHOUT_BLANKS)
        || goes_on(ENDINGS_WITHOUT_BLANKS)
}

/// The words of a text that are codes, in plain letters: those with a digit, and those in capitals among others that are not.
fn codes(text: &str) -> Vec<String> {
    let is_shouted = !text.chars().any(char::is_lowercase);
    let parts = text.split(|c: char| !c.is_alphanumeric()).filter(|part| part.chars().count() > 1);
    let is_code = |part: &&str| {
        let is_in_capitals = !is_shouted && part.chars().all(|c| c.is_uppercase() || c.is_numeric());
        part.chars().any(|c| c.is_ascii_digit()) || is_in_capitals
    };
    parts.filter(is_code).map(plain).collect()
}

/// The lists in plain letters. Looked up only.
struct Known {
    /// By their first words.
    phrases: HashMap<String, Vec<Vec<String>>>,
    openings: HashMap<String, Vec<Vec<String>>>,
    words: HashSet<String>,
    companions: HashSet<String>,
}

static KNOWN: LazyLock<Known> = LazyLock::new(|| {
    let by_first_word = |list: &[&str]| {
        let mut phrases: HashMap<String, Vec<Vec<String>>> = HashMap::new();
        for phrase in list.iter().map(|phrase| words(phrase)) {
            if let Some(first) = phrase.first() {
                phrases.entry(first.clone()).or_default().push(phrase);
            }
        }
        phrases
    };
    let set = |list: &[&str]| list.iter().map(|word| plain(word)).collect();
    Known {
        phrases: by_first_word(PHRASES),
        openings: by_first_word(OPENINGS),
        words: set(WORDS),
        companions: set(COMPANIONS),
    }
});

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn postage_discounts_and_deposits_are_no_products_in_any_usual_language() {
        for charge in [
            "Versandkosten",
            "Versand",
            "Porto",
            "Porto & Verpackung",
            "Rabatt",
            "Gutschein SOMMER-10",
            "Pfand",
            "Pfand 0,25",
            "shipping",
            "Shipping & Handling",
            "Standard Shipping",
            "Delivery (UK)",
            "Discount",
            "GIFT CARD 50",
            "Gift card €25",
            "frais de port",
            "Frais d’expédition",
            "Livraison",
            "Livraison Colissimo",
            "Remise 5 %",
            "gastos de envío",
            "Envío",
            "Descuento",
            "spedizione",
            "Spese di spedizione",
            "Sconto",
            "verzendkosten",
            "Verzending PostNL",
            "Korting",
            "wysyłka",
            "Koszt wysyłki: InPost",
            "Rabat 10%",
            "poštovné",
            "Doprava PPL",
            "Sleva",
            "frete",
            "Portes de envio",
            "доставка",
            "ДОСТАВКА СДЭК",
            "Скидка",
            "运费",
            "运费补差价专拍",
            "優惠券",
            "送料",
            "送料（北海道）",
            "クーポン割引",
            "배송비",
            "할인 쿠폰",
            "Kargo ücreti",
            "KARGO",
            "İndirim",
            "VERSAND-AT",
            "SHIPPING_DE",
            "Versand DHL Paket",
            "DHL Versand",
            "Gift card ABC-77",
            "Gutschein 25 EUR",
            "Avoir",
            "Avoir 2026-17",
            "Remise",
            "Rabat",
            "Tip",
            "折扣",
            "折扣-10元",
            "할인쿠폰",
            "Rabatt Stammkunden",
        ] {
            assert!(is_charge(charge), "{charge}");
        }
    }

    #[test]
    fn products_with_such_words_in_their_names_stay_products() {
        for product in [
            "",
            "Versandtasche A4",
            "Versandkarton",
            "Shipping label printer",
            "Discount banner red",
            "Delivery bag large",
            "Portemonnaie",
            "Port glass",
            "Porto Tawny",
            "Post-it 76x76",
            "Portes de placard",
            "Packaging 20x30",
            "Tip top cleaner",
            "Post-it notes",
            "Transport box",
            "Pfandglas 1 l",
            "Gutscheinhülle",
            "Coupon holder",
            "Deposit box, steel",
            "Verpackung Kraftpapier",
            "Emballage cadeau rouge",
            "Kargo pantolon",
            "包装纸",
            "Linen shirt",
            "SKU-1001",
            "1001",
            "Fracht-Ladegut Spielzeug",
            "Gift card holder red",
            "GIFT CARD HOLDER",
            "Avoir vingt ans",
            "Rabat magnétique cuir",
            "Remise en forme DVD",
            "TIP-200",
            "FEE_7",
            "Gutschein Hülle",
            "Contrassegno auto",
            "折扣女装",
            "クーポンケース",
            "商品券ホルダー",
            "상품권 봉투",
        ] {
            assert!(!is_charge(product), "{product}");
        }
    }
}
