//! Attributes of items that are not for visitors: what names a person, and what the shop itself pays.
//!
//! In: the name of a column or attribute, and its value. Exports of orders and reviews that are read as products have
//! buyers in them, and exports of products have purchase prices. A name that products have too, such as `phone` of a case
//! for one, counts only where the value looks like that of a person, or where something else of the record is of one.

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
    "reviewer",
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
    "empfänger",
    "destinataire",
    "destinatario",
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

/// Names of what the shop pays or earns.
const COSTS: &[&str] = &[
    "cost",
    "costs",
    "cogs",
    "margin",
    "margins",
    "grossmargin",
    "netmargin",
    "profitmargin",
    "marginpercent",
    "markup",
    "profit",
    "grossprofit",
    "ek",
    "einkauf",
    "marge",
    "rohertrag",
    "handelsspanne",
    "deckungsbeitrag",
    "coût",
    "coûtdachat",
    "coûtunitaire",
    "coste",
    "costo",
    "custo",
    "margen",
    "margine",
    "margem",
    "marża",
    "inkoop",
    "成本",
    "成本价",
    "成本價",
    "进价",
    "進價",
    "进货价",
    "采购价",
    "毛利",
    "原価",
    "仕入価格",
    "仕入値",
    "원가",
    "매입가",
    "себестоимость",
    "маржа",
    "supplier",
    "suppliername",
    "suppliercode",
    "suppliersku",
    "supplierid",
    "lieferant",
    "lieferantenname",
    "lieferantennummer",
    "fournisseur",
    "proveedor",
    "fornitore",
    "leverancier",
    "dostawca",
    "поставщик",
    "供应商",
];

/// Beginnings of such names.
const STARTS_OF_COSTS: &[&str] = &[
    "costprice",
    "costper",
    "costof",
    "costeur",
    "costusd",
    "costgbp",
    "unitcost",
    "itemcost",
    "productcost",
    "variantcost",
    "averagecost",
    "avgcost",
    "standardcost",
    "defaultcost",
    "landedcost",
    "defaultunitcost",
    "wholesale",
    "purchaseprice",
    "purchasecost",
    "buyingprice",
    "buyprice",
    "supplyprice",
    "supplierprice",
    "dealerprice",
    "ekpreis",
    "eknetto",
    "ekbrutto",
    "einkaufspreis",
    "durchschnittlicherek",
    "letzterek",
    "prixdachat",
    "prixachat",
    "prixderevient",
    "preciodecompra",
    "preciocompra",
    "preciocosto",
    "preciodecosto",
    "prezzodacquisto",
    "prezzoacquisto",
    "preçodecusto",
    "precodecusto",
    "inkoopprijs",
    "cenazakupu",
    "nákupnícena",
    "inköpspris",
    "indkøbspris",
    "закупочнаяцена",
];

/// Whether a name is that of something that the shop pays or earns, or of a supplier.
pub fn is_cost(name: &str) -> bool {
    let name = folded(name);
    COSTS.contains(&&*name) || STARTS_OF_COSTS.iter().any(|start| name.starts_with(start))
}

/// Whether a name is that of something that persons have and products do not.
pub fn names_person(name: &str) -> bool {
    let name = folded(name);
    if OF_PERSONS.contains(&&*name) || PARTS_OF_PERSONS.iter().any(|part| name.contains(part)) {
        return true;
    }
    let of_side = |side: &&str| {
        let rest = name.strip_prefix(side).or_else(|| name.strip_suffix(side));
        rest.is_some_and(|rest| OF_PERSONS.contains(&rest) || (OF_BOTH.contains(&rest) && !REGIONS.contains(&rest)))
    };
    SIDES.iter().any(of_side)
}

/// Whether persons may have something of this name too.
pub(crate) fn may_name_person(name: &str) -> bool {
    OF_BOTH.contains(&&*folded(name))
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

fn is_mail_address(text: &str) -> bool {
    let is_plain = text.len() <= 254 && !text.contains(|c: char| c.is_whitespace() || matches!(c, '/' | ',' | ';'));
    is_plain
        && text
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && host.contains('.') && !host.contains('@'))
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
    let is_personal = |(name, value): &(Box<str>, RawValue)| {
        let is_text = |value: &RawValue| match value {
            RawValue::Text(text) => is_of_person(name, text),
            RawValue::Int(number) => is_of_person(name, &number.to_string()),
            _ => false,
        };
        let in_value = match value {
            RawValue::List(values) => values.iter().any(is_text),
            value => is_text(value),
        };
        !value.is_missing() && (names_person(name) || in_value)
    };
    let mut places: Vec<usize> = (0..attributes.len()).filter(|place| is_personal(&attributes[*place])).collect();
    if !places.is_empty() {
        let others = (0..attributes.len()).filter(|place| may_name_person(&attributes[*place].0));
        places = places.iter().copied().chain(others).collect();
        places.sort_unstable();
        places.dedup();
    }
    places
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
    }
}
