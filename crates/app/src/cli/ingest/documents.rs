//! Tables that have what orders have, and are none of sales: orders to suppliers, quotes and delivery notes beside invoices,
//! goods that come back, carts that were left, and lists of prices of a customer.
//!
//! In: the columns and the first rows. Out: what speaks against purchases, so that the file is refused with its reason and
//! a person decides.

use std::collections::HashSet;

use accrue_event::{folded, is_time_of_order};
use accrue_ingest::Sample;

use super::orders::OrderColumns;

/// Beginnings of the names of columns of suppliers.
const SUPPLIERS: &[&str] = &[
    "supplier",
    "vendorname",
    "vendorno",
    "vendornumber",
    "lieferant",
    "kreditor",
    "fournisseur",
    "proveedor",
    "fornitore",
    "leverancier",
    "dostawca",
    "dodavatel",
    "dodávateľ",
    "fornecedor",
    "поставщик",
    "供应商",
    "供應商",
    "仕入先",
    "공급업체",
    "공급사",
    "tedarikçi",
];

/// Names of the kind of a document.
const KINDS: &[&str] = &[
    "documenttype",
    "doctype",
    "typeofdocument",
    "vouchertype",
    "transactiontype",
    "belegart",
    "belegtyp",
    "dokumentart",
    "dokumenttyp",
    "vorgangsart",
    "typededocument",
    "typedocument",
    "typedepièce",
    "typedepiece",
    "tipodocumento",
    "tipodedocumento",
    "typdokumentu",
    "typdokladu",
    "documentsoort",
    "типдокумента",
    "видоперации",
    "单据类型",
    "單據類型",
    "伝票種別",
    "伝票区分",
    "문서유형",
    "전표유형",
    "belgetürü",
    "evraktürü",
];

/// Kinds of documents by which something is sold.
const SALES: &[&str] = &[
    "invoice",
    "salesinvoice",
    "taxinvoice",
    "order",
    "salesorder",
    "sale",
    "receipt",
    "rechnung",
    "verkauf",
    "bestellung",
    "kassenbon",
    "facture",
    "vente",
    "commande",
    "factura",
    "venta",
    "pedido",
    "fattura",
    "vendita",
    "ordine",
    "factuur",
    "verkoop",
    "faktura",
    "paragon",
    "fatura",
    "venda",
    "продажа",
    "реализация",
    "销售",
    "销售单",
    "銷售",
    "売上",
    "판매",
    "satış",
];

/// Names that only what comes back has, or what was never ordered.
const OF_NO_SALES: &[&str] = &[
    "returnid",
    "returnnumber",
    "returnno",
    "returnreason",
    "reasonforreturn",
    "returndate",
    "rma",
    "rmaid",
    "rmanumber",
    "retourennummer",
    "retourengrund",
    "retourendatum",
    "rücksendegrund",
    "rückgabegrund",
    "motifderetour",
    "motivodedevolución",
    "motivodevolución",
    "motivodelreso",
    "retourreden",
    "cartid",
    "cartkey",
    "carttoken",
    "abandonedat",
    "abandonedcheckoutid",
    "warenkorbid",
];

impl OrderColumns<'_> {
    /// What speaks against purchases, of a table whose rows are lines of orders or of documents.
    pub fn doubt(&self, sample: &Sample) -> Option<String> {
        doubt(self, sample).filter(|_| self.are_lines(sample))
    }
}

/// What speaks against taking the rows of a table with the columns of orders for purchases.
fn doubt(orders: &OrderColumns<'_>, sample: &Sample) -> Option<String> {
    let columns = || sample.columns.iter().map(String::as_str);
    let has_values = |column: &str| {
        let n = sample.texts(column).filter(|text| !text.trim().is_empty()).count();
        // Of an order export with a column for the few that came back, most rows have none.
        sample.rows.is_empty() || 2 * n > sample.rows.len()
    };
    if orders.buyer.is_none() && orders.named_buyer.is_none() {
        let supplier = columns().find(|column| SUPPLIERS.iter().any(|start| folded(column).starts_with(start)));
        if let Some(column) = supplier {
            return Some(format!("`{column}`, and no column of a buyer, as what the shop orders itself has"));
        }
    }
    if let Some(column) = kind_of_document(sample) {
        return Some(format!("`{column}`, by which one deal may stand in several documents"));
    }
    if let Some(column) = columns().find(|column| OF_NO_SALES.contains(&&*folded(column)) && has_values(column)) {
        return Some(format!("`{column}`, which belongs to returns or carts"));
    }
    if orders.number.is_none() && orders.buyer.is_none() && orders.named_buyer.is_some() {
        return Some("a buyer who is known by a name alone".to_owned());
    }
    if let Some((item, text)) = orders.item.and_then(|item| Some((item, several_in_most(orders, sample, item)?))) {
        return Some(format!(
            "`{item}` with several products in one cell ({text:?}), so that a row is an order and not one of its lines; export the lines, \
             as Etsy's \"Order Items\" has them"
        ));
    }
    // A list of the prices of a customer has prices, and the quantities from which they hold.
    let may_be_prices = orders.quantity.is_none() || orders.price.is_some() || orders.line_total.is_some();
    if orders.number.is_none() && !is_time_of_order(orders.time) && may_be_prices {
        return Some(format!(
            "neither the number of an order nor a time that is that of one (`{}` may be that of anything, such as of a price)",
            orders.time
        ));
    }
    None
}

/// The column of the kinds of documents of which some are no sales.
pub(super) fn kind_of_document(sample: &Sample) -> Option<&str> {
    let mut columns = sample.columns.iter().map(String::as_str);
    columns.find(|column| KINDS.contains(&&*folded(column)) && !are_sales(sample, column))
}

/// The first cell with several products, if most cells have several and no order has several rows: a number with a comma in it
/// does not make orders of lines.
fn several_in_most<'s>(orders: &OrderColumns<'_>, sample: &'s Sample, item: &str) -> Option<&'s str> {
    let mut numbers = HashSet::new();
    let is_new = |number: &str| number.trim().is_empty() || numbers.insert(number.trim().to_owned());
    if !orders.number.is_none_or(|number| sample.texts(number).all(is_new)) {
        return None;
    }
    let texts = || sample.texts(item).filter(|text| !text.trim().is_empty());
    let n_several = texts().filter(|text| has_several(text)).count();
    texts().find(|text| has_several(text)).filter(|_| 2 * n_several > texts().count())
}

/// Whether a cell has the numbers of several products, with commas between them.
fn has_several(text: &str) -> bool {
    let mut parts = text.split(',').map(str::trim).peekable();
    text.contains(',') && parts.all(|part| part.len() > 1 && !part.contains(char::is_whitespace))
}

/// Whether a column of the kinds of documents has none but those of sales.
fn are_sales(sample: &Sample, column: &str) -> bool {
    let mut texts = sample.texts(column).filter(|text| !text.trim().is_empty()).peekable();
    texts.peek().is_some() && texts.all(|text| SALES.contains(&&*folded(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(columns: &str, rows: &[&str]) -> Option<String> {
        let cells = |row: &str| row.split(';').map(str::to_owned).collect::<Vec<_>>();
        let sample = Sample {
            columns: cells(columns),
            rows: rows.iter().map(|row| cells(row)).collect(),
            is_table: true,
            ..Sample::default()
        };
        let orders = OrderColumns::of(&sample).unwrap();
        doubt(&orders, &sample)
    }

    #[test]
    fn documents_that_are_no_sales_are_told_by_their_columns() {
        for (columns, row, why) in [
            ("Document Number;Date;Supplier;SKU;Quantity;Unit Cost", "1;2026-01-01;Acme;A;500;2", "`Supplier`"),
            ("Belegnummer;Datum;Lieferant;Artikelnummer;Menge;EK", "1;2026-01-01;Acme;A;500;2", "`Lieferant`"),
            ("Belegart;Belegnummer;Datum;Kundennummer;Artikelnummer;Menge", "Angebot;1;2026-01-01;7;A;5", "`Belegart`"),
            ("单据类型;订单编号;下单时间;会员名;商品编号;数量", "退货单;1;2026-01-01;a;A;5", "`单据类型`"),
            (
                "Return ID;Order ID;Date;Customer ID;SKU;Quantity;Return reason",
                "9;1;2026-01-01;7;A;1;too small",
                "`Return ID`",
            ),
            ("Cart ID;Date;Customer ID;SKU;Quantity", "9;2026-01-01;7;A;1", "`Cart ID`"),
            ("Kundennummer;Artikelnummer;Bezeichnung;Menge;Preis;Datum", "7;A;Tasse;10;9,90;01.03.2026", "`Datum`"),
            ("Buyer;Sale Date;SKU;Quantity", "Ada Lovelace;2026-01-01;A;1", "a name alone"),
            (
                "Sale Date;Order ID;Buyer User ID;Number of Items;SKU",
                "11/21/26;1;ada77;2;IGEL-01,HASE-02",
                "several products",
            ),
        ] {
            let told = of(columns, &[row]).unwrap_or_default();
            assert!(told.contains(why), "{columns}: {told}");
        }
        for (columns, row) in [
            ("Belegart;Belegnummer;Datum;Kundennummer;Artikelnummer;Menge", "Rechnung;1;2026-01-01;7;A;5"),
            ("Order ID;Order Date;Customer ID;SKU;Quantity;Return reason", "1;2026-01-01;7;A;1;"),
            ("Order ID;Order Date;Customer ID;SKU;Quantity;Supplier", "1;2026-01-01;7;A;1;Acme"),
            ("Kundennummer;Bestelldatum;Artikelnummer;Menge", "7;2026-01-01;A;1"),
            ("customer_id;sku;quantity;date", "7;A;1;2026-01-01"),
            ("Sale Date;Item Name;Buyer;Quantity;Price;SKU", "2026-01-01;Mug;ada77;1;9;A"),
        ] {
            assert_eq!(of(columns, &[row]), None, "{columns}");
        }
        // A number with a comma in it makes no orders of lines.
        let columns = "Order ID;Order Date;Customer ID;SKU;Quantity";
        let with_comma = "1;2026-01-01;7;CABLE-1,50;1";
        assert_eq!(of(columns, &[with_comma, "2;2026-01-01;7;B-1;1"]), None);
        assert_eq!(of(columns, &[with_comma, "1;2026-01-01;7;CABLE-2,50;1"]), None);
    }
}
