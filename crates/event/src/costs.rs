//! Names of what the shop pays, what it earns, from whom it buys, and what it notes for itself.
//!
//! In: the name of a column or attribute, in any case and width. Out: whether it is such a name: as a whole, by its beginning, or by
//! a word of it. Visitors are not told what has one.

use crate::near::folded;

/// Whether a name is that of something that the shop pays or earns, of a supplier, or of a note that is not for visitors.
pub fn is_cost(name: &str) -> bool {
    let name: String = name.chars().map(narrow).collect();
    let whole = folded(&name);
    if COSTS.contains(&&*whole)
        || OTHER_COSTS.contains(&&*whole)
        || STARTS_OF_COSTS.iter().any(|start| whole.starts_with(start))
    {
        return true;
    }
    let words = words_of(&name);
    let has = |of: &[&str]| words.iter().any(|word| of.contains(&&**word));
    has(WORDS_OF_COSTS) && !has(WORDS_OF_SHIPPING)
}

/// The words of a name, in lower case: between separators, and where a capital follows a small letter.
fn words_of(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && before.is_lowercase());
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = c;
    }
    words
}

/// A letter or digit of full width in its usual form.
fn narrow(c: char) -> char {
    match c {
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xfee0).unwrap_or(c),
        other => other,
    }
}

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
    "lastpurchaseprice",
    "lastpurchasecost",
    "averagepurchase",
    "lastcost",
    "giánhập",
    "giávốn",
    "hargamodal",
    "hargabeli",
    "hargapokok",
    "internalnote",
    "internalcomment",
    "privatenote",
    "staffnote",
    "internernotiz",
    "internenotiz",
    "interneanmerkung",
    "internebemerkung",
    "noteinterne",
    "commentaireinterne",
    "notainterna",
    "notasinternas",
    "erstelltvon",
    "geändertvon",
];

/// Words of names that say so wherever they stand: `vendor_cost`, `marginPct`, `Lieferanten-Nr`.
#[rustfmt::skip]
const WORDS_OF_COSTS: &[&str] = &[
    "cost", "costs", "cogs", "profit", "wholesale", "supplier", "suppliers", "kosten", "selbstkosten",
    "einkauf", "einkaufspreis", "ek", "hek", "marge", "rohertrag", "rohgewinn", "db1", "lieferant", "lieferanten",
    "lieferantenpreis", "beschaffungspreis", "nettoeinkauf", "fournisseur", "proveedor", "fornitore",
    "einstand", "einstandspreis", "kalkulationspreis", "wareneinsatz", "gld", "ek1", "ek2", "kreditor", "kostpris", "innkjøpspris",
    "ostohinta", "koszt", "koszty", "kosztu", "beszerzési", "maliyet", "maliyeti", "alış",
];
/// Words beside which these are what a shopper pays: `shipping_cost`.
#[rustfmt::skip]
const WORDS_OF_SHIPPING: &[&str] = &[
    "shipping", "delivery", "postage", "ship", "versand", "liefer", "dostawy", "dostawa", "wysyłki", "wysylki", "przesyłki", "przesylki", "kargo",
    "gönderim", "teslimat", "teslim", "envío", "envio", "spedizione", "livraison", "verzending", "verzend", "dopravy", "frakt", "fragt",
];
/// Whole names of the kind that none of these words is in.
#[rustfmt::skip]
const OTHER_COSTS: &[&str] = &[
    "createdby", "updatedby", "modifiedby", "listinoacquisto", "costoacquisto", "ultimocostoacquisto", "marginpct", "marginrate", "purchasenet", "acquisitionprice", "invoiceprice", "tradeprice", "stockvalue", "inventoryvalue",
    "floorprice", "resellerprice", "b2bprice", "partnerprice", "fob", "fobprice", "cif", "cifprice", "exw", "exwprice", "nnp", "nnek",
    "ตนทุน", "ราคาทุน", "仕入先", "仕入れ値", "공급업체", "공급사", "공급가", "供货商", "供貨商", "供應商", "采购成本",
];
