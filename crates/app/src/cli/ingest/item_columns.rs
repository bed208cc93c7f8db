//! Which columns of a file of events describe its items, and which describe its customers.
//!
//! A title goes onto pages that everybody sees, so a column is taken for one only if its name is that of an item's title and of
//! nothing else, if it stands in one object with the id of the item, or if its values follow the items and not the shoppers.

use std::collections::{HashMap, HashSet};

use accrue_event::{Mapping, RecordKind, folded, usual_column};
use accrue_ingest::Sample;

/// Names of the title of an item, and of nothing else, in lower case and without separators.
const TITLES: &[&str] = &[
    "itemname",
    "itemtitle",
    "productname",
    "producttitle",
    "lineitemname",
    "articlename",
    "artikelname",
    "artikelbezeichnung",
    "artikeltext",
    "artikelbeschreibung",
    "produktname",
    "produktbezeichnung",
    "warenbezeichnung",
    "positionstext",
    "bezeichnung",
    "bezeichnung1",
    "désignation",
    "designation",
    "désignationarticle",
    "libellé",
    "libelle",
    "libelléarticle",
    "libelléproduit",
    "nomarticle",
    "nomproduit",
    "nomduproduit",
    "nombreproducto",
    "nombredelproducto",
    "nombreartículo",
    "nomeprodotto",
    "nomearticolo",
    "descrizionearticolo",
    "descrizioneprodotto",
    "nomeproduto",
    "nomedoproduto",
    "artikelnaam",
    "artikelomschrijving",
    "productnaam",
    "productomschrijving",
    "nazwaproduktu",
    "nazwatowaru",
    "artikelnamn",
    "produktnamn",
    "benämning",
    "varenavn",
    "varetekst",
    "názevproduktu",
    "názovproduktu",
    "tuotenimi",
    "ürünadı",
    "названиетовара",
    "наименованиетовара",
    "наименование",
    "номенклатура",
    "商品名称",
    "商品标题",
    "商品名稱",
    "产品名称",
    "宝贝名称",
    "宝贝标题",
    "品名",
    "商品名",
    "商品タイトル",
    "상품명",
    "제품명",
    "품명",
    "품목명",
    "品目名",
    "製品名",
    "产品名",
    "宝贝",
    "商品信息",
    "produktnavn",
    "názevzboží",
    "descriçãodoproduto",
    "descripcióndelproducto",
    "descripciónartículo",
    "descriptionarticle",
    "itemdescription",
    "productdescription",
    "opistowaru",
    "товарнаименование",
    "ürünismi",
];

/// Names of titles that other things have too, such as pages, and customers with a degree.
const WEAK_TITLES: &[&str] = &[
    "title",
    "titel",
    "titre",
    "titulo",
    "título",
    "titolo",
    "label",
    "product",
    "article",
    "artikel",
    "produkt",
    "produit",
    "producto",
    "artículo",
    "prodotto",
    "articolo",
    "produto",
    "标题",
    "名称",
    "商品",
    "产品",
    "名稱",
    "상품",
    "品目",
    "товар",
    "название",
    "zboží",
    "název",
    "towar",
    "nazwa",
    "ürün",
    "description",
    "descripción",
    "descrizione",
    "descrição",
    "omschrijving",
    "opis",
    "popis",
    "beschreibung",
    "описание",
    "açıklama",
];

/// Names that persons have as well. Outside the object of an item, they are not taken for a title.
const NAMES: &[&str] =
    &["name", "nom", "nombre", "nome", "naam", "namn", "navn", "nazwa", "displayname", "名前", "имя"];

/// Columns that describe a customer and no item, in lower case and without separators.
const PERSONAL: &[&str] = &[
    "name",
    "nom",
    "nombre",
    "nome",
    "naam",
    "fullname",
    "firstname",
    "lastname",
    "surname",
    "givenname",
    "familyname",
    "customername",
    "clientname",
    "buyername",
    "recipient",
    "kundenname",
    "kunde",
    "vorname",
    "nachname",
    "anrede",
    "salutation",
    "firma",
    "company",
    "companyname",
    "prénom",
    "nomclient",
    "nomduclient",
    "apellido",
    "apellidos",
    "nombrecliente",
    "nombredelcliente",
    "cognome",
    "nomecliente",
    "klantnaam",
    "achternaam",
    "voornaam",
    "address",
    "address1",
    "address2",
    "street",
    "adresse",
    "anschrift",
    "strasse",
    "straße",
    "hausnummer",
    "zip",
    "zipcode",
    "postcode",
    "postalcode",
    "plz",
    "postleitzahl",
    "codepostal",
    "codigopostal",
    "códigopostal",
    "cap",
    "city",
    "ort",
    "ville",
    "ciudad",
    "città",
    "direccion",
    "dirección",
    "indirizzo",
    "adres",
    "email",
    "emailaddress",
    "customeremail",
    "mail",
    "phone",
    "phonenumber",
    "telephone",
    "mobile",
    "telefon",
    "telefonnummer",
    "handy",
    "mobil",
    "fax",
    "téléphone",
    "telefono",
    "teléfono",
    "telefoon",
    "birthday",
    "birthdate",
    "dateofbirth",
    "geburtsdatum",
    "geburtstag",
    "iban",
    "ustid",
    "ipaddress",
    "browserip",
    "姓名",
    "客户姓名",
    "买家姓名",
    "收货人",
    "收货地址",
    "地址",
    "手机",
    "手机号",
    "手机号码",
    "电话",
    "联系电话",
    "邮箱",
    "收件人",
    "收货人姓名",
    "收货电话",
    "收货手机",
    "联系手机",
    "详细地址",
    "收件人姓名",
    "收件地址",
    "氏名",
    "お名前",
    "名前",
    "住所",
    "電話番号",
    "郵便番号",
    "送付先氏名",
    "送付先住所",
    "이름",
    "고객명",
    "주문자명",
    "구매자명",
    "수취인",
    "수취인명",
    "수령인",
    "주소",
    "배송지",
    "전화번호",
    "연락처",
    "휴대폰",
    "휴대폰번호",
    "우편번호",
    "имя",
    "фамилия",
    "фио",
    "имяклиента",
    "адрес",
    "телефон",
    "город",
    "индекс",
    "получатель",
    "imię",
    "nazwisko",
    "imięinazwisko",
    "ulica",
    "miasto",
    "kodpocztowy",
    "nazwaklienta",
    "jméno",
    "příjmení",
    "jménoapříjmení",
    "jménozákazníka",
    "adresa",
    "ulice",
    "město",
    "psč",
    "nomecompleto",
    "nomedocliente",
    "sobrenome",
    "endereço",
    "morada",
    "cidade",
    "cep",
    "telefone",
    "telemóvel",
    "cpf",
    "cnpj",
    "nombreyapellidos",
    "población",
    "dni",
    "nif",
    "nominativo",
    "codicefiscale",
    "partitaiva",
    "straat",
    "huisnummer",
    "plaats",
    "woonplaats",
    "klantomschrijving",
    "ad",
    "soyad",
    "adsoyad",
    "müşteriadı",
    "şehir",
    "postakodu",
];

/// Steps of paths that lead into a person.
const PERSONS: &[&str] = &[
    "user", "customer", "client", "buyer", "billing", "shipping", "address", "contact", "profile", "kunde", "account",
];

/// Fields of the item of an event, with the columns that describe them: the title, and price, brand and categories beside it.
/// Empty if no column has the title.
pub(super) fn item_columns(sample: &Sample, mapping: &Mapping) -> Vec<(&'static str, String)> {
    let columns: Vec<&str> =
        sample.columns.iter().map(String::as_str).filter(|column| !column.contains(['.', '['])).collect();
    let column_of = |field: &str| match mapping.fields.get(field) {
        Some(names) => names.iter().find(|name| columns.contains(name)),
        None => usual_column(RecordKind::Events, field, &columns),
    };
    let shopper = column_of("user").or_else(|| column_of("session"));
    match (column_of("item"), shopper) {
        (Some(item), Some(shopper)) => described(sample, &columns, item, Some(shopper)),
        _ => Vec::new(),
    }
}

/// As [`item_columns`], of these columns, among which are paths into objects.
pub(super) fn described(
    sample: &Sample,
    columns: &[&str],
    item: &str,
    shopper: Option<&str>,
) -> Vec<(&'static str, String)> {
    let free: Vec<&str> = columns
        .iter()
        .copied()
        .filter(|column| *column != item && Some(*column) != shopper && !is_of_person(column))
        .collect();
    let Some(title) = title_of(sample, &free, item, shopper) else { return Vec::new() };
    let column_of = |field: &str| {
        let usual = usual_column(RecordKind::Items, field, &free);
        usual.or_else(|| usual_column(RecordKind::Events, field, &free).filter(|_| field == "price"))
    };
    let others = ["brand", "categories", "price"].into_iter();
    let others = others.filter_map(|field| Some((field, column_of(field)?.to_owned())));
    std::iter::once(("title", title.to_owned())).chain(others).collect()
}

fn title_of<'c>(sample: &Sample, columns: &[&'c str], item: &str, shopper: Option<&str>) -> Option<&'c str> {
    let beside_item: Vec<&str> = columns.iter().copied().filter(|column| is_beside(column, item)).collect();
    let named = |columns: &[&'c str], names: &[&str]| {
        names.iter().find_map(|name| columns.iter().copied().find(|column| folded(last_step(column)) == *name))
    };
    named(&beside_item, TITLES)
        .or_else(|| named(&beside_item, NAMES))
        .or_else(|| named(&beside_item, WEAK_TITLES))
        .or_else(|| named(columns, TITLES))
        .or_else(|| {
            let follows = |column: &&str| follows_items(sample, column, item, shopper);
            let columns: Vec<&str> = columns.iter().copied().filter(|column| !column.contains('.')).collect();
            let columns: Vec<&str> = columns.into_iter().filter(follows).collect();
            named(&columns, WEAK_TITLES)
        })
}

/// Whether the values of a column are those of items: lines of one item have one value, different items have different
/// ones, and they do not say the same as the shopper does.
fn follows_items(sample: &Sample, column: &str, item: &str, shopper: Option<&str>) -> bool {
    let rows = |key: &str| -> Vec<(String, String)> {
        let pairs = sample.texts(key).zip(sample.texts(column));
        let pairs = pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        pairs.filter(|(key, value)| !key.is_empty() && !value.is_empty()).collect()
    };
    let of_items = rows(item);
    let n_items = of_items.iter().map(|(item, _)| item).collect::<HashSet<_>>().len();
    let n_values = of_items.iter().map(|(_, value)| value).collect::<HashSet<_>>().len();
    let is_of_shoppers = shopper.is_some_and(|shopper| {
        let of_shoppers = rows(shopper);
        let n_shoppers = of_shoppers.iter().map(|(shopper, _)| shopper).collect::<HashSet<_>>().len();
        n_agreeing(&of_shoppers) == of_shoppers.len() && of_shoppers.len() > n_shoppers
    });
    let is_text = of_items.iter().all(|(_, value)| value.parse::<f64>().is_err());
    !of_items.is_empty()
        && is_text
        && !is_of_shoppers
        && 10 * n_agreeing(&of_items) >= 8 * of_items.len()
        && 2 * n_values >= n_items
}

/// How many pairs have the value that most pairs with their key have.
fn n_agreeing(pairs: &[(String, String)]) -> usize {
    let mut counts: HashMap<&str, HashMap<&str, usize>> = HashMap::new();
    for (key, value) in pairs {
        *counts.entry(key).or_default().entry(value).or_default() += 1;
    }
    counts.values().filter_map(|values| values.values().max()).sum()
}

/// The columns of a table of events that describe customers, which events need not keep.
pub(super) fn personal<'c>(columns: &[&'c str]) -> Vec<&'c str> {
    let is_personal = |column: &&str| {
        let name = folded(column);
        let inner = ["billing", "shipping", "customer", "rechnungs", "liefer", "kunden"];
        let inner = inner.iter().find_map(|start| name.strip_prefix(start)).unwrap_or(&name);
        PERSONAL.contains(&&*name) || PERSONAL.contains(&inner)
    };
    columns.iter().copied().filter(|column| !column.contains(['.', '['])).filter(is_personal).collect()
}

/// A column of the usual name of a person or of anything, which may be the title of an item: for a remark.
pub(super) fn ambiguous_name<'c>(columns: &[&'c str]) -> Option<&'c str> {
    columns.iter().copied().find(|column| NAMES.contains(&&*folded(column)))
}

/// Whether a path leads into the object that has the id of the item, or into one around it.
fn is_beside(column: &str, item: &str) -> bool {
    let around = |path: &str| path.rfind('.').map(|end| path[..end].to_owned());
    match (around(column), around(item)) {
        (Some(of_column), Some(of_item)) => {
            of_item == of_column || (of_column.contains("[]") && of_item.starts_with(&format!("{of_column}.")))
        }
        _ => false,
    }
}

fn is_of_person(column: &str) -> bool {
    let mut steps = column.split('.').map(folded).collect::<Vec<_>>();
    steps.pop();
    steps.iter().any(|step| PERSONS.iter().any(|person| step.starts_with(person)))
}

fn last_step(column: &str) -> &str {
    column.rsplit('.').next().unwrap_or(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &str, rows: &[&str]) -> Sample {
        let cells = |row: &str| row.split(';').map(str::to_owned).collect::<Vec<_>>();
        Sample {
            columns: cells(columns),
            rows: rows.iter().map(|row| cells(row)).collect(),
            is_table: true,
            ..Sample::default()
        }
    }

    fn found(sample: &Sample) -> Vec<(&'static str, String)> {
        item_columns(sample, &Mapping::default())
    }

    #[test]
    fn a_customers_name_is_no_title() {
        let lines = table(
            "Kundennr;Name;Artikelnummer;Bezeichnung;Einzelpreis",
            &["1;Müller GmbH;A;Tasse;9,90", "1;Müller GmbH;B;Teller;5,00"],
        );
        assert_eq!(found(&lines), [("title", "Bezeichnung".to_owned()), ("price", "Einzelpreis".to_owned())]);
        for columns in ["user;name;item", "customer_id;Nom;sku", "email;Name;item"] {
            assert_eq!(found(&table(columns, &["1;Ana;A", "2;Ben;B"])), [], "{columns}");
        }
    }

    #[test]
    fn a_title_of_several_meanings_follows_the_items() {
        let of_items = table("user;item;title", &["1;A;Mug", "1;B;Cup", "2;A;Mug"]);
        assert_eq!(found(&of_items)[0], ("title", "title".to_owned()));
        let of_shoppers = table("user;item;title", &["1;A;Dr.", "1;B;Dr.", "2;A;Ms"]);
        assert_eq!(found(&of_shoppers), []);
        let degrees = table("user;item;titel", &["1;A;Dr.", "2;B;Dr.", "3;C;Dr.", "4;D;Dr.", "5;E;Dr."]);
        assert_eq!(found(&degrees), []);
        let names = table("user;product_id;product", &["1;7;Mug", "2;8;Cup"]);
        assert_eq!(found(&names)[0], ("title", "product".to_owned()));
    }

    #[test]
    fn a_name_in_the_object_of_an_item_is_its_title() {
        let sample = Sample::default();
        let of = |columns: &[&str], item: &str| described(&sample, columns, item, None);
        let columns = ["customer.id", "customer.name", "items[].sku", "items[].name", "items[].price"];
        let expected = [("title", "items[].name".to_owned()), ("price", "items[].price".to_owned())];
        assert_eq!(of(&columns, "items[].sku"), expected);
        assert_eq!(of(&["customer.name", "customer.product_name", "items[].sku"], "items[].sku"), []);
        let outer = ["lineItems[].payload.sku", "lineItems[].label"];
        assert_eq!(of(&outer, "lineItems[].payload.sku"), [("title", "lineItems[].label".to_owned())]);
    }

    #[test]
    fn columns_of_customers_are_known() {
        let columns = ["Kundennr", "Name", "PLZ", "Billing City", "shipping_name", "Menge", "Brand", "items[].name"];
        assert_eq!(personal(&columns), ["Name", "PLZ", "Billing City", "shipping_name"]);
    }
}
