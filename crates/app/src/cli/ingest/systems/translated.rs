//! Columns of known exports under other names: a shop system writes its header in the language of its back office, and people
//! write `image link` for `image_link`.
//!
//! A column is found by a name that is known for it, or by its place where the export always has the same order.

use accrue_event::folded;
use accrue_ingest::Sample;

/// The columns of WooCommerce's export in their order. The second group stands between some of the first only in newer versions.
const WOOCOMMERCE: [&str; 39] = [
    "ID",
    "Type",
    "SKU",
    "Name",
    "Published",
    "Is featured?",
    "Visibility in catalog",
    "Short description",
    "Description",
    "Date sale price starts",
    "Date sale price ends",
    "Tax status",
    "Tax class",
    "In stock?",
    "Stock",
    "Low stock amount",
    "Backorders allowed?",
    "Sold individually?",
    "Weight (kg)",
    "Length (cm)",
    "Width (cm)",
    "Height (cm)",
    "Allow customer reviews?",
    "Purchase note",
    "Sale price",
    "Regular price",
    "Categories",
    "Tags",
    "Shipping class",
    "Images",
    "Download limit",
    "Download expiry days",
    "Parent",
    "Grouped products",
    "Upsells",
    "Cross-sells",
    "External URL",
    "Button text",
    "Position",
];

/// Types of products, which WooCommerce does not translate.
const WOOCOMMERCE_TYPES: [&str; 7] =
    ["simple", "variable", "variation", "grouped", "external", "virtual", "downloadable"];

/// The columns of PrestaShop's export in their order.
const PRESTASHOP: [&str; 10] = [
    "Product ID",
    "Image",
    "Name",
    "Reference",
    "Category",
    "Price (tax excl.)",
    "Price (tax incl.)",
    "Quantity",
    "Status",
    "Position",
];

/// Names of columns in other languages (French, Spanish, German, Italian, Dutch, Portuguese), for exports of which columns were
/// chosen.
const TRANSLATIONS: &[(&str, &[&str])] = &[
    ("ID", &["Identifiant"]),
    ("Type", &["Typ", "Tipo"]),
    ("SKU", &["UGS", "Artikelnummer", "COD", "REF"]),
    ("Name", &["Nom", "Nombre", "Nome", "Naam"]),
    ("Published", &["Publié", "Publicado", "Veröffentlicht", "Pubblicato", "Gepubliceerd"]),
    (
        "Visibility in catalog",
        &[
            "Visibilité dans le catalogue",
            "Visibilidad en el catálogo",
            "Sichtbarkeit im Katalog",
            "Visibilità nel catalogo",
            "Zichtbaarheid in catalogus",
            "Visibilidade no catálogo",
        ],
    ),
    (
        "Short description",
        &[
            "Description courte",
            "Descripción corta",
            "Kurzbeschreibung",
            "Breve descrizione",
            "Korte beschrijving",
            "Breve descrição",
            "Descrição curta",
        ],
    ),
    ("Description", &["Descripción", "Beschreibung", "Descrizione", "Beschrijving", "Descrição"]),
    (
        "Date sale price starts",
        &[
            "Date de début de promo",
            "Día en que empieza el precio rebajado",
            "Datum, an dem Angebotspreis beginnt",
            "Data di inizio del prezzo in offerta",
            "Data di inizio prezzo in saldo",
        ],
    ),
    (
        "Date sale price ends",
        &[
            "Date de fin de promo",
            "Día en que termina el precio rebajado",
            "Datum, an dem Angebotspreis endet",
            "Data di fine del prezzo in offerta",
            "Data di fine prezzo in saldo",
        ],
    ),
    (
        "In stock?",
        &[
            "En stock ?",
            "¿Existencias?",
            "¿En inventario?",
            "Vorrätig?",
            "Auf Lager?",
            "Op voorraad?",
            "Em estoque?",
            "Em stock?",
            "Disponibile?",
        ],
    ),
    ("Stock", &["Inventario", "Bestand", "Lager", "Lagerbestand", "Magazzino", "Voorraad", "Estoque"]),
    (
        "Backorders allowed?",
        &[
            "Autoriser les commandes de produits en rupture ?",
            "¿Permitir reservas de productos agotados?",
            "Lieferrückstände erlaubt?",
            "Rückstände erlaubt?",
            "Abilita gli ordini arretrati?",
            "Nabestellingen toestaan?",
            "São permitidas encomendas?",
        ],
    ),
    (
        "Sale price",
        &[
            "Tarif promo",
            "Prix promo",
            "Precio rebajado",
            "Angebotspreis",
            "Prezzo in offerta",
            "Prezzo in saldo",
            "Actieprijs",
            "Preço promocional",
        ],
    ),
    (
        "Regular price",
        &[
            "Tarif régulier",
            "Prix régulier",
            "Precio normal",
            "Regulärer Preis",
            "Normaler Preis",
            "Prezzo di listino",
            "Prezzo normale",
            "Reguliere prijs",
            "Preço normal",
        ],
    ),
    ("Categories", &["Catégories", "Categorías", "Kategorien", "Categorie", "Categorieën", "Categorias"]),
    ("Tags", &["Étiquettes", "Etiquetas", "Schlagwörter", "Tag"]),
    ("Images", &["Imágenes", "Bilder", "Immagini", "Afbeeldingen", "Imagens"]),
    ("Parent", &["Superior", "Übergeordnetes Produkt", "Übergeordnet", "Genitore", "Hoofd", "Ascendente"]),
    ("Brands", &["Marques", "Marcas", "Marken", "Brand", "Merken"]),
    (
        "Attribute 1 name",
        &[
            "Nom de l’attribut 1",
            "Nombre del atributo 1",
            "Attribut 1 Name",
            "Name des Attributs 1",
            "Nome dell'attributo 1",
            "Eigenschap 1 naam",
            "Nome do atributo 1",
        ],
    ),
    (
        "Attribute 1 value(s)",
        &[
            "Valeur(s) de l’attribut 1",
            "Valor(es) del atributo 1",
            "Attribut 1 Wert(e)",
            "Wert(e) des Attributs 1",
            "Valore dell'attributo 1",
            "Valore(i) attributo 1",
            "Eigenschap 1 waarde(n)",
            "Valores do atributo 1",
        ],
    ),
    (
        "Product ID",
        &[
            "ID produit",
            "ID du produit",
            "ID de producto",
            "ID del producto",
            "ID prodotto",
            "Produkt-ID",
            "Artikel-ID",
            "ID do produto",
            "Product-ID",
        ],
    ),
    ("Image", &["Imagen", "Bild", "Immagine", "Afbeelding", "Imagem"]),
    (
        "Reference",
        &[
            "Référence",
            "Referencia",
            "Artikel-Nr.",
            "Referenz",
            "Artikelnummer",
            "Riferimento",
            "Referentie",
            "Referência",
        ],
    ),
    ("Category", &["Catégorie", "Categoría", "Kategorie", "Categoria", "Categorie"]),
    (
        "Price (tax excl.)",
        &[
            "Prix (HT)",
            "Precio (imp. excl.)",
            "Precio (sin IVA)",
            "Preis (exkl. MwSt.)",
            "Preis (ohne MwSt.)",
            "Prezzo (tasse escl.)",
            "Prezzo (IVA escl.)",
            "Prijs (excl. btw)",
        ],
    ),
    (
        "Price (tax incl.)",
        &[
            "Prix (TTC)",
            "Precio (imp. incl.)",
            "Precio (impuestos incl.)",
            "Precio (con IVA)",
            "Preis (inkl. MwSt.)",
            "Bruttopreis",
            "Prezzo (tasse incl.)",
            "Prezzo (IVA incl.)",
            "Prijs (incl. btw)",
        ],
    ),
    ("Quantity", &["Quantité", "Cantidad", "Menge", "Anzahl", "Quantità", "Aantal", "Quantidade"]),
    ("Status", &["État", "Statut", "Estado", "Stato"]),
];

/// Column of the English export = column of this file, for those that have other names here.
pub(super) fn columns(system: &str, sample: &Sample) -> Vec<(&'static str, String)> {
    let mut found = match system {
        "woocommerce-products" => in_order_of_woocommerce(sample),
        "prestashop-products" => in_order_of_prestashop(sample),
        _ => Vec::new(),
    };
    if matches!(system, "woocommerce-products" | "prestashop-products") && sample.is_table {
        for (english, others) in TRANSLATIONS {
            let is_other = |column: &&String| others.iter().any(|other| folded(other) == folded(column));
            let is_known = found.iter().any(|(known, _)| known == english);
            if let Some(column) = sample.columns.iter().find(is_other).filter(|_| !is_known) {
                found.push((english, column.clone()));
            }
        }
    }
    found.retain(|(english, column)| english != column && !sample.columns.iter().any(|known| known == english));
    found
}

/// Whether two columns have one name apart from case and separators: `image link` and `image_link`.
pub(super) fn is_same(one: &str, other: &str) -> bool {
    folded(one) == folded(other)
}

fn in_order_of_woocommerce(sample: &Sample) -> Vec<(&'static str, String)> {
    let columns = &sample.columns;
    let is_type = |text: &str| text.split(',').all(|part| WOOCOMMERCE_TYPES.contains(&part.trim()));
    let types = columns.get(1).map(|column| sample.texts(column).collect::<Vec<_>>()).unwrap_or_default();
    if columns.len() < WOOCOMMERCE.len() || columns[0] != "ID" || types.is_empty() || !types.into_iter().all(is_type) {
        return Vec::new();
    }
    // Since 2024 there is a column for the number of the article beside the SKU, and one for brands behind all.
    let has_gtin = ["GTIN", "EAN", "ISBN"].iter().any(|name| columns[3].contains(name));
    let place_of = |place: usize| if has_gtin && place >= 3 { place + 1 } else { place };
    let names = WOOCOMMERCE.iter().enumerate();
    let mut found: Vec<(&'static str, String)> =
        names.filter_map(|(place, name)| Some((*name, columns.get(place_of(place))?.clone()))).collect();
    let behind = columns.get(place_of(WOOCOMMERCE.len())..).unwrap_or_default();
    let first = behind.iter().position(|column| column.contains('1'));
    let is_attribute = |column: &&String| !column.starts_with("Meta") && !column.starts_with("Download");
    if let Some(brands) =
        behind.first().filter(|column| !column.chars().any(|c| c.is_ascii_digit()) && is_attribute(column))
    {
        found.push(("Brands", brands.clone()));
    }
    if let Some([name, value, ..]) = first.and_then(|first| behind.get(first..))
        && is_attribute(&name)
        && value.contains('1')
    {
        found.extend([("Attribute 1 name", name.clone()), ("Attribute 1 value(s)", value.clone())]);
    }
    found
}

fn in_order_of_prestashop(sample: &Sample) -> Vec<(&'static str, String)> {
    let columns = &sample.columns;
    if columns.len() != PRESTASHOP.len() || !sample.is_table || sample.rows.is_empty() {
        return Vec::new();
    }
    let all = |place: usize, fits: &dyn Fn(&str) -> bool| sample.texts(&columns[place]).all(|text| fits(text.trim()));
    let is_whole = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_amount = |text: &str| {
        let digits = text.chars().filter(char::is_ascii_digit).count();
        digits > 0 && text.chars().filter(|c| c.is_alphabetic()).count() <= 3
    };
    let is_picture = |text: &str| text.is_empty() || text.contains("/") || text.contains(".jpg");
    let fits = all(0, &is_whole)
        && all(1, &is_picture)
        && all(5, &is_amount)
        && all(6, &is_amount)
        && all(7, &|text| is_whole(text.trim_start_matches('-')))
        && all(8, &|text| matches!(text, "0" | "1"));
    if fits { PRESTASHOP.into_iter().zip(columns.iter().cloned()).collect() } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(header: &[&str], row: &[&str]) -> Sample {
        let texts = |cells: &[&str]| cells.iter().map(|cell| (*cell).to_owned()).collect::<Vec<String>>();
        Sample { columns: texts(header), rows: vec![texts(row)], is_table: true, ..Sample::default() }
    }

    fn named<'f>(found: &'f [(&'static str, String)], english: &str) -> Option<&'f str> {
        found.iter().find(|(known, _)| *known == english).map(|(_, column)| column.as_str())
    }

    #[test]
    fn columns_in_a_language_that_is_not_known_are_found_by_their_places() {
        let mut header: Vec<String> = WOOCOMMERCE.iter().map(|name| format!("{name} pl")).collect();
        header[0] = "ID".into();
        header.insert(3, "GTIN, UPC, EAN lub ISBN".into());
        header.extend(["Marki", "Nazwa atrybutu 1", "Wartości atrybutu 1", "x 1", "y 1"].map(String::from));
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        let mut row = vec![""; header.len()];
        row[1] = "simple, virtual";
        let found = columns("woocommerce-products", &sample(&header, &row));
        assert_eq!(named(&found, "Regular price"), Some("Regular price pl"));
        assert_eq!(named(&found, "Brands"), Some("Marki"));
        assert_eq!(named(&found, "Attribute 1 value(s)"), Some("Wartości atrybutu 1"));
        row[1] = "shoe";
        assert!(columns("woocommerce-products", &sample(&header, &row)).is_empty());
        let header = [
            "ID",
            "Obraz",
            "Nazwa",
            "Indeks",
            "Kategoria",
            "Cena (netto)",
            "Cena (brutto)",
            "Ilość",
            "Stan",
            "Pozycja",
        ];
        let row = ["1", "https://s.example/1.jpg", "Kubek", "K1", "Kuchnia", "10,00 zł", "12,30 zł", "-3", "1", "1"];
        let found = columns("prestashop-products", &sample(&header, &row));
        assert_eq!(
            (named(&found, "Price (tax incl.)"), named(&found, "Status")),
            (Some("Cena (brutto)"), Some("Stan"))
        );
        let row = ["1", "red", "Kubek", "K1", "Kuchnia", "10", "12", "3", "1", "1"];
        assert!(columns("prestashop-products", &sample(&header, &row)).is_empty());
    }
}
