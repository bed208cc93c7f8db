//! Usual names of the columns of a price that is valid for some time.

use super::super::{Names, Sale};
use crate::near::folded;

/// Names of the price of a sale, beside which a product has its usual price. `salesprice` and the like are usual prices.
const SALE_PRICES: &[&str] = &[
    "saleprice",
    "onlinesaleprice",
    "sonderangebotspreis",
    "onsaleprice",
    "specialprice",
    "promoprice",
    "promotionprice",
    "promotionalprice",
    "offerprice",
    "discountedprice",
    "discountprice",
    "reducedprice",
    "aktionspreis",
    "aktionspreisbrutto",
    "angebotspreis",
    "sonderpreis",
    "prixpromo",
    "prixpromotionnel",
    "prixsoldé",
    "preciooferta",
    "preciodeoferta",
    "preciorebajado",
    "prezzoscontato",
    "prezzoofferta",
    "prezzospeciale",
    "actieprijs",
    "aanbiedingsprijs",
    "cenapromocyjna",
    "akčnícena",
    "preçopromocional",
    "促销价",
    "活动价",
    "セール価格",
    "할인가",
];
/// Names of the time from which such a price holds.
const SALE_STARTS: &[&str] = &[
    "salestart",
    "salestartdate",
    "salepricestartdate",
    "salefrom",
    "datesalepricestarts",
    "specialpricefrom",
    "specialpricefromdate",
    "specialfrom",
    "specialfromdate",
    "specialpricestart",
    "specialpricestartdate",
    "salestartsat",
    "salestartat",
    "salestartsdate",
    "salefromdate",
    "salepricefrom",
    "salepricefromdate",
    "salepricestart",
    "salepricestartsat",
    "salevalidfrom",
    "saledatefrom",
    "promostart",
    "promostartdate",
    "promofrom",
    "offerstart",
    "offerstartdate",
    "offerfrom",
    "sonderpreisvon",
    "sonderpreisgültigvon",
    "sonderpreisgültigab",
    "aktionspreisgültigvon",
    "aktionspreisgültigab",
    "angebotspreisgültigvon",
    "gültigvon",
    "gültigab",
    "aktionvon",
    "aktionspreisvon",
    "angebotspreisvon",
];
/// Names of the time until which it does.
const SALE_ENDS: &[&str] = &[
    "saleend",
    "saleenddate",
    "salepriceenddate",
    "saleuntil",
    "saleto",
    "datesalepriceends",
    "specialpriceto",
    "specialpricetodate",
    "specialto",
    "specialtodate",
    "specialpriceend",
    "specialpriceenddate",
    "specialpriceuntil",
    "saleendsat",
    "saleendat",
    "saleendsdate",
    "saletodate",
    "saleuntildate",
    "salepriceuntil",
    "salepriceto",
    "salepricetodate",
    "salepriceend",
    "salepriceendsat",
    "salevalidto",
    "salevaliduntil",
    "saledateto",
    "promoend",
    "promoenddate",
    "promoto",
    "promountil",
    "offerend",
    "offerenddate",
    "offerto",
    "offeruntil",
    "sonderpreisbis",
    "sonderpreisgültigbis",
    "aktionspreisgültigbis",
    "aktiongültigbis",
    "angebotspreisgültigbis",
    "gültigbis",
    "aktionbis",
    "aktionspreisbis",
    "angebotspreisbis",
];
/// Names of both in one.
const SALE_PERIODS: &[&str] = &["salepriceeffectivedate", "saleperiod"];

/// Beginnings of the names of what belongs to a sale. A sale with a column of such a name that is not known may be over.
const OF_SALES: &[&str] = &["sale", "special", "promo", "offer", "aktion"];
/// Names that begin so and are no column of a sale.
const NOT_OF_SALES: &[&str] = &["salesprice", "offerid"];

/// The columns of a price that is valid for some time, under usual names.
pub(super) fn sale(columns: &[&str]) -> Option<Sale> {
    let find = |names: &[&str]| -> Names {
        let found = names.iter().find_map(|name| columns.iter().copied().find(|column| folded(column) == **name));
        found.into_iter().collect()
    };
    let (price, from, until) = (find(SALE_PRICES), find(SALE_STARTS), find(SALE_ENDS));
    let sale = Sale { price, from, until, period: find(SALE_PERIODS), ..Sale::default() };
    let is_dated = !(sale.from.is_empty() && sale.until.is_empty() && sale.period.is_empty());
    let says_more = |column: &&str| {
        let name = folded(column);
        let is_known = NOT_OF_SALES.contains(&&*name) || sale.columns().any(|own| own == *column);
        !is_known && OF_SALES.iter().any(|start| name.starts_with(start))
    };
    let may_be_over = !is_dated && columns.iter().any(says_more);
    (!sale.price.is_empty() && !may_be_over).then_some(sale)
}
