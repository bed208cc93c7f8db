//! Attributes of items that are not for visitors: what names a person, and what the shop itself pays.
//!
//! In: the name of a column or attribute, and its value. Exports of orders and reviews that are read as products have
//! buyers in them, and exports of products have purchase prices. A name that products have too, such as `phone` of a case
//! for one, counts only where the value looks like that of a person, or where something else of the record is of one.

pub use crate::costs::is_cost;
use crate::near::folded;
use crate::{Attribute, RawValue};

/// Why an attribute is not for visitors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Private {
    /// It names a person, or says how to reach one.
    Person,
    /// It is what the shop pays, what it earns, or from whom it buys.
    Cost,
}

/// Parts of names that speak of persons wherever they stand.
const PARTS_OF_PERSONS: &[&str] = &[
    "email",
    "courriel",
    "correoelectr",
    "邮箱",
    "メールアドレス",
    "이메일",
    "buyername",
    "buyerphone",
    "customername",
    "customerphone",
    "customeraddress",
    "ipaddress",
    "phonenumber",
    "dateofbirth",
    "geburtsdatum",
    "datedenaissance",
];

/// Names of what persons have, and products do not.
const OF_PERSONS: &[&str] = &[
    "customer",
    "buyer",
    "client",
    "kunde",
    "kundenname",
    "käufer",
    "acheteur",
    "comprador",
    "acquirente",
    "klient",
    "покупатель",
    "клиент",
    "买家",
    "顾客",
    "firstname",
    "lastname",
    "surname",
    "givenname",
    "familyname",
    "fullname",
    "vorname",
    "nachname",
    "prénom",
    "prenom",
    "nomclient",
    "nomduclient",
    "nomdefamille",
    "apellido",
    "apellidos",
    "nombrecliente",
    "cognome",
    "nomecliente",
    "achternaam",
    "voornaam",
    "klantnaam",
    "imię",
    "nazwisko",
    "příjmení",
    "фамилия",
    "имяклиента",
    "姓名",
    "收货人",
    "收件人",
    "氏名",
    "고객명",
    "salutation",
    "anrede",
    "recipientname",
    "nameofrecipient",
    "shipto",
    "billto",
    "telephone",
    "téléphone",
    "telefonnummer",
    "telefono",
    "teléfono",
    "telefoon",
    "mobilenumber",
    "mobilephone",
    "handynummer",
    "rufnummer",
    "手机",
    "手机号",
    "电话",
    "電話番号",
    "전화번호",
    "streetaddress",
    "postaladdress",
    "anschrift",
    "postalcode",
    "zipcode",
    "postleitzahl",
    "plz",
    "codepostal",
    "códigopostal",
    "codigopostal",
    "收货地址",
    "住所",
    "birthdate",
    "geburtstag",
    "fechadenacimiento",
    "datadinascita",
    "taxid",
    "vatid",
    "vatnumber",
    "taxnumber",
    "ustid",
    "ustidnr",
    "steuernummer",
    "numérotva",
    "codicefiscale",
    "partitaiva",
    "cpf",
    "nif",
    "dni",
    "ssn",
    "iban",
    "passport",
    "password",
    "clientip",
    "customerip",
    "browserip",
    "useragent",
];

/// Names that persons and products have.
const OF_BOTH: &[&str] = &[
    "phone",
    "phone1",
    "mobile",
    "mobil",
    "handy",
    "tel",
    "telefon",
    "portable",
    "fax",
    "mail",
    "recipient",
    // Also a radio receiver, or the recipient of a gift.
    "empfänger",
    "destinataire",
    "destinatario",
    "name",
    "nom",
    "company",
    "firma",
    "address",
    "address1",
    "address2",
    "adresse",
    "street",
    "strasse",
    "straße",
    "hausnummer",
    "zip",
    "city",
    "ort",
    "ville",
    "ciudad",
    "città",
    "state",
    "province",
    "county",
    "country",
    "countrycode",
    "land",
    "pays",
    "birthday",
    "ip",
    "location",
];

/// Those of them that say where someone is and not who: `Shipping country` may be that of a product.
const REGIONS: &[&str] = &["state", "province", "county", "country", "countrycode", "land", "pays", "location"];

/// What stands before or behind the name of something that a person has.
const SIDES: &[&str] = &[
    "billing",
    "shipping",
    "ship",
    "bill",
    "customer",
    "buyer",
    "recipient",
    "contact",
    "delivery",
    "invoice",
    "kunden",
    "rechnungs",
    "liefer",
    "besteller",
    "facturation",
    "livraison",
    "envío",
    "facturación",
];

/// Sides whose company is the carrier: `Shipping company` may be that of a person or `DHL`.
const SIDES_OF_CARRIERS: &[&str] = &["shipping", "ship", "delivery", "liefer"];

/// Names of companies.
const COMPANIES: &[&str] = &["company", "firma"];

/// Whether a name is that of something that persons have and products do not.
pub fn names_person(name: &str) -> bool {
    // `previewer` is none.
    let mut words = name.split(|c: char| !c.is_alphanumeric());
    if words.any(|word| word.get(..8).is_some_and(|start| start.eq_ignore_ascii_case("reviewer"))) {
        return true;
    }
    let name = folded(name);
    if OF_PERSONS.contains(&&*name) || PARTS_OF_PERSONS.iter().any(|part| name.contains(part)) {
        return true;
    }
    let is_of_person = |rest: &str| OF_PERSONS.contains(&rest) || (OF_BOTH.contains(&rest) && !REGIONS.contains(&rest));
    SIDES.iter().any(|side| beside(&name, side).is_some_and(is_of_person)) && !is_company_of_carrier(&name)
}

/// What stands before or behind a side in a name.
fn beside<'n>(name: &'n str, side: &str) -> Option<&'n str> {
    name.strip_prefix(side).or_else(|| name.strip_suffix(side))
}

fn is_company_of_carrier(name: &str) -> bool {
    SIDES_OF_CARRIERS.iter().any(|side| beside(name, side).is_some_and(|rest| COMPANIES.contains(&rest)))
}

/// Whether persons may have something of this name too.
pub fn may_name_person(name: &str) -> bool {
    let name = folded(name);
    OF_BOTH.contains(&&*name) || is_company_of_carrier(&name)
}

/// Whether a value of this name is one of a person: a number of a phone, or an address of e-mail under any name.
pub(crate) fn is_of_person(name: &str, text: &str) -> bool {
    let text = text.trim();
    if is_mail_address(text) {
        return true;
    }
    const PHONES: &[&str] = &["phone", "phone1", "mobile", "mobil", "handy", "tel", "telefon", "portable", "fax"];
    let n_digits = text.bytes().filter(u8::is_ascii_digit).count();
    let is_number = text.chars().all(|c| c.is_ascii_digit() || "+()-./ \u{a0}".contains(c));
    (7..=15).contains(&n_digits) && is_number && PHONES.contains(&&*folded(name))
}

/// Whether a text is an address of e-mail: something before the only `@`, and the name of a host behind it. `5V@2.4A` and
/// `1080p@59.94fps` have none there, because the last part of the name of a host is of letters alone.
fn is_mail_address(text: &str) -> bool {
    let text = text.strip_prefix("mailto:").unwrap_or(text).trim_matches(|c: char| "<>()[]\"'.".contains(c));
    let is_plain = text.len() <= 254 && !text.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',' | ';'));
    is_plain && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && is_name_of_host(host))
}

fn is_name_of_host(host: &str) -> bool {
    let Some((before, last)) = host.rsplit_once('.') else { return false };
    let is_label = |label: &str| {
        !label.is_empty() && !label.starts_with('-') && label.chars().all(|c| c.is_alphanumeric() || "-_".contains(c))
    };
    let is_of_letters = last.chars().all(char::is_alphabetic) && last.chars().count() >= 2;
    (is_of_letters || last.starts_with("xn--")) && host.split('.').all(is_label) && !before.is_empty()
}

/// Whether an attribute of an item is not for visitors.
pub fn privacy_of(name: &str, value: &Attribute) -> Option<Private> {
    let is_personal = match value {
        Attribute::Text(text) => is_of_person(name, text),
        Attribute::List(texts) => texts.iter().any(|text| is_of_person(name, text)),
        Attribute::Bool(_) | Attribute::Number(_) => false,
    };
    is_private(name).or(is_personal.then_some(Private::Person))
}

/// As [`privacy_of`], of a name alone.
pub fn is_private(name: &str) -> Option<Private> {
    match (names_person(name), is_cost(name)) {
        (true, _) => Some(Private::Person),
        (_, true) => Some(Private::Cost),
        _ => None,
    }
}

/// The places of the attributes of a record that are of a person.
pub(crate) fn places_of_persons(attributes: &[(Box<str>, RawValue)]) -> Vec<usize> {
    let is_text_of_person = |name: &str, value: &RawValue| match value {
        RawValue::Text(text) => is_of_person(name, text),
        RawValue::Int(number) => is_of_person(name, &number.to_string()),
        _ => false,
    };
    let in_value = |(name, value): &(Box<str>, RawValue)| match value {
        RawValue::List(values) => values.iter().any(|value| is_text_of_person(name, value)),
        value => is_text_of_person(name, value),
    };
    let in_name = |(name, value): &(Box<str>, RawValue)| !value.is_missing() && names_person(name);
    let by_name = places(attributes, in_name);
    let by_value = places(attributes, in_value);
    if by_name.is_empty() && by_value.is_empty() {
        return by_name;
    }
    // An address of e-mail under any name makes no person's country of that of the product.
    let is_region = |name: &str| REGIONS.contains(&&*folded(name));
    let is_other = |(name, _): &(Box<str>, RawValue)| may_name_person(name) && !(by_name.is_empty() && is_region(name));
    let others = places(attributes, is_other);
    let mut found: Vec<usize> = [by_name, by_value, others].concat();
    found.sort_unstable();
    found.dedup();
    found
}

/// The places of the attributes that are meant.
fn places(attributes: &[(Box<str>, RawValue)], is_meant: impl Fn(&(Box<str>, RawValue)) -> bool) -> Vec<usize> {
    (0..attributes.len()).filter(|place| is_meant(&attributes[*place])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_persons_and_costs_are_told_from_those_of_products() {
        for name in [
            "Email (Billing)",
            "Phone (Billing)",
            "Last Name (Billing)",
            "buyer-email",
            "Buyer",
            "buyer-phone-number",
            "Ship Name",
            "Ship City",
            "reviewer_name",
            "ip_address",
            "Billing Street",
            "Kunden-Name",
            "E-mail client",
            "Date of birth",
            "Tax ID",
            "Nachname",
        ] {
            assert_eq!(is_private(name), Some(Private::Person), "{name}");
        }
        for name in [
            "cost",
            "vendor_cost",
            "last_cost",
            "moving_avg_cost",
            "std cost",
            "price_cost",
            "margin_pct",
            "marginPct",
            "Selbstkosten",
            "kosten",
            "nettoeinkauf",
            "Beschaffungspreis",
            "Lieferantenpreis",
            "Lieferanten-Nr",
            "HEK",
            "vk_ek",
            "Rohgewinn",
            "DB1",
            "purchase_net",
            "acquisition_price",
            "stock_value",
            "ＣＯＳＴ",
            "Cost per item",
            "purchase_price",
            "EK",
            "Einkaufspreis",
            "wholesale_price",
            "margin",
            "supplier_code",
            "supply_price",
            "Prix d'achat",
            "进价",
            "Einstandspreis",
            "last_purchase_price",
            "kostpris",
            "listino acquisto",
            "giá nhập",
            "ต้นทุน",
            "仕入先",
            "internal_note",
            "Created by",
        ] {
            assert_eq!(is_private(name), Some(Private::Cost), "{name}");
        }
        for name in [
            "colour",
            "phone",
            "name",
            "recipient",
            "Shipping class",
            "Shipping weight",
            "Shipping country",
            "costume",
            "author",
            "state",
            "telefonhalterung",
            "Margin left",
            "koszt dostawy",
            "Kargo maliyeti",
            "Quantità minima d'acquisto",
            "Mail-in rebate",
            "Created by hand",
            "material",
            "seek",
        ] {
            assert_eq!(is_private(name), None, "{name}");
        }
    }

    #[test]
    fn a_value_of_a_person_is_private_under_any_name() {
        let text = |text: &str| Attribute::Text(text.into());
        assert_eq!(privacy_of("note", &text("ada@example.com")), Some(Private::Person));
        assert_eq!(privacy_of("Phone", &text("+49 30 1234567")), Some(Private::Person));
        assert_eq!(privacy_of("Phone", &text("iPhone 12")), None);
        assert_eq!(privacy_of("ean", &text("4006381333931")), None);
        let record = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(name, text)| ((*name).into(), RawValue::text(*text))).collect();
            places_of_persons(&pairs)
        };
        assert_eq!(record(&[("recipient", "women"), ("colour", "red")]), [] as [usize; 0]);
        assert_eq!(record(&[("recipient", "Ada"), ("colour", "red"), ("email", "a@b.example")]), [0, 2]);
        let country = &[("note", "ada@example.com"), ("City", "Berlin"), ("Country", "Germany")];
        assert_eq!(record(country), [0, 1], "the country may be that of the product");
        assert_eq!(record(&[("Vorname", "Ada"), ("Land", "Germany")]), [0, 1]);
    }

    #[test]
    fn what_products_have_is_not_taken_for_that_of_a_person() {
        for address in
            ["ada@example.com", "a.b+c@mail.example.co.uk", "<ada@x.de>", "ada@163.com", "mailto:ada@müller.de"]
        {
            assert!(is_mail_address(address), "{address}");
        }
        for none in [
            "5V@2.4A",
            "i7@3.6GHz",
            "1080p@59.94fps",
            "1080p@60fps",
            "12@1.A",
            "@shop.example",
            "a@b",
            "a@.b.c.",
            "x@1.5",
        ] {
            assert!(!is_mail_address(none), "{none}");
        }
        let attributes = |pairs: &[(&str, &str)]| {
            let pairs: Vec<_> = pairs.iter().map(|(name, text)| ((*name).into(), RawValue::text(*text))).collect();
            places_of_persons(&pairs)
        };
        for product in [
            &[("Output", "5V@2.4A"), ("Country", "Italy"), ("Company", "Acme")][..],
            &[("Empfänger", "2,4 GHz"), ("Land", "China")],
            &[("Destinatario", "Donna"), ("country", "Italy")],
            &[("Destinataire", "Femme"), ("pays", "France")],
            &[("Shipping company", "DHL"), ("Country", "Germany")],
            &[("Lieferfirma", "DHL"), ("Land", "Polen")],
            &[("previewer", "yes"), ("country", "Italy")],
        ] {
            assert_eq!(attributes(product), [] as [usize; 0], "{product:?}");
        }
        assert_eq!(attributes(&[("Shipping company", "Acme"), ("Shipping phone", "123"), ("size", "M")]), [0, 1]);
        assert_eq!(attributes(&[("product_reviewer", "Ada")]), [0]);
    }
}
