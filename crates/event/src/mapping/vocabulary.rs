//! The names under which other systems have our fields.
//!
//! A field that a mapping does not name, and that a file does not have under its own name, is taken from the first of
//! these names that the file has. Names are compared without case and separators: `Product ID`, `product_id` and `productId` are
//! one name. They are those of Shopify, WooCommerce, Magento, PrestaShop, Google Merchant, Meta, GA4, Segment, Snowplow, Gorse,
//! Meilisearch, Algolia and of public data sets, in English, German, French, Spanish and Chinese as far as shop systems write
//! them. Names with several meanings (`value`, `product`, `status`) are left out.

use crate::RecordKind;
use crate::near::{folded, singular};

/// Other names of a field, the more certain ones first.
pub(super) fn other_names(kind: RecordKind, field: &str) -> &'static [&'static str] {
    match kind {
        RecordKind::Events => of_events(field),
        RecordKind::Items => of_items(field),
        RecordKind::Users => match field {
            "id" => &[
                "userid",
                "customerid",
                "clientid",
                "memberid",
                "accountid",
                "shopperid",
                "idcustomer",
                "customeremail",
                "email",
            ],
            _ => &[],
        },
    }
}

/// A name without case and separators.
pub(super) fn compact(name: &str) -> String {
    folded(name)
}

/// The fields of which a name is a usual one: their own, or one of those of other systems, in the singular or the
/// plural.
pub fn fields_named(kind: RecordKind, name: &str) -> impl Iterator<Item = &'static str> {
    let wanted = singular(&folded(name));
    kind.fields().iter().copied().filter(move |field| {
        let mut names = other_names(kind, field).iter().map(|name| singular(name));
        singular(&folded(field)) == wanted || names.any(|name| name == wanted)
    })
}

/// The column that has a field under a usual name: its own, or one of those of other systems. Of a path such as
/// `event_attributes.object.object_id` its last names count.
pub fn usual_column<'c>(kind: RecordKind, field: &str, columns: &[&'c str]) -> Option<&'c str> {
    let own = compact(field);
    let mut wanted = std::iter::once(&*own).chain(other_names(kind, field).iter().copied());
    wanted.find_map(|wanted| {
        let fits = |column: &&&str| {
            // JSON:API puts what a record refers to under `relationships.profile.data`.
            let is_step =
                |step: &&str| !matches!(*step, "data" | "relationships") || !column.contains("relationships.");
            let steps: Vec<&str> = column.split('.').filter(is_step).collect();
            let last_two = steps[steps.len().saturating_sub(2)..].concat();
            compact(column) == wanted
                || steps.last().is_some_and(|last| compact(last) == wanted)
                || compact(&last_two) == wanted
        };
        columns.iter().filter(fits).min_by_key(|column| column.matches(['.', '[']).count()).copied()
    })
}

fn of_events(field: &str) -> &'static [&'static str] {
    match field {
        "id" => &["eventid", "messageid", "insertid"],
        "type" => &[
            "eventtype",
            "eventname",
            "event",
            "action",
            "actionname",
            "actiontype",
            "eventaction",
            "behavior",
            "behaviour",
            "behaviortype",
            "behaviourtype",
            "feedbacktype",
            "interactiontype",
            "interaction",
            "metricname",
            "metricid",
            "行为",
            "行为类型",
            "事件",
            "事件类型",
            "用户行为",
        ],
        "user" => &[
            "userid",
            "customerid",
            "memberid",
            "accountid",
            "shopperid",
            "buyerid",
            "visitoruserid",
            "profileid",
            "idcustomer",
            "customeremail",
            "useremail",
            "email",
            "kundennummer",
            "kundennr",
            "kundenid",
            "用户",
            "用户id",
            "用户编号",
            "会员id",
            "会员号",
            "会员编号",
            "买家id",
            "客户id",
            "客户编号",
        ],
        "session" => &[
            "sessionid",
            "usersession",
            "visitid",
            "anonymousid",
            "visitorid",
            "userpseudoid",
            "clientid",
            "cookieid",
            "deviceid",
            "guestid",
            "domainsessionid",
            "domainuserid",
            "cartid",
            "会话id",
            "访客id",
        ],
        "item" => &[
            "itemid",
            "productid",
            "sku",
            "productsku",
            "itemsku",
            "variantsku",
            "lineitemsku",
            "variantid",
            "articleid",
            "articlenumber",
            "stockcode",
            "contentid",
            "objectid",
            "offerid",
            "goodsid",
            "asin",
            "artikelnummer",
            "artikelnr",
            "productviewsku",
            "商品编号",
            "商品编码",
            "商品id",
            "商品編號",
            "货号",
            "商品货号",
        ],
        // The check knows the names of times; here are those that it must know before `time_format` and `time_zone` apply.
        "at" => crate::check::OTHER_NAMES_OF_TIME,
        "quantity" => &[
            "qty",
            "units",
            "itemquantity",
            "lineitemquantity",
            "qtyordered",
            "menge",
            "anzahl",
            "数量",
            "购买数量",
            "商品数量",
            "數量",
        ],
        "price" => &[
            "unitprice",
            "itemprice",
            "productprice",
            "lineitemprice",
            "preis",
            "einzelpreis",
            "单价",
            "商品单价",
            "成交价",
            "單價",
        ],
        "query" => {
            &["searchterm", "searchquery", "searchstring", "searchphrase", "searchtext", "searchkeywords", "userquery"]
        }
        "recommendation_id" => &["recommendationid"],
        _ => &[],
    }
}

fn of_items(field: &str) -> &'static [&'static str] {
    match field {
        "id" => &[
            "id",
            "itemid",
            "productid",
            "sku",
            "variantsku",
            "productsku",
            "itemsku",
            "variantid",
            "offerid",
            "retailerid",
            "contentid",
            "objectid",
            "uniqueid",
            "articleid",
            "articlenumber",
            "itemnumber",
            "stockcode",
            "reference",
            "artikelnummer",
            "artikelnr",
            "productnumber",
            "idproduct",
            "idproduit",
            "idproducto",
            "idprodotto",
            "produktid",
            "référence",
            "referencia",
            "riferimento",
            "ugs",
            "asin",
            "handle",
            "商品编号",
            "商品编码",
            "商品id",
            "商品編號",
            "货号",
            "商品货号",
            "产品编号",
        ],
        "parent" => &[
            "parent",
            "parentid",
            "itemgroupid",
            "groupid",
            "productgroupid",
            "retailerproductgroupid",
            "parentsku",
            "parentproductid",
            "masterid",
            "masterproductid",
            "handle",
            "vaterartikel",
            "hauptartikel",
            "vaterartikelnummer",
        ],
        "title" => &[
            "title",
            "name",
            "productname",
            "producttitle",
            "itemname",
            "itemtitle",
            "posttitle",
            "displayname",
            "artikelname",
            "artikelbezeichnung",
            "produktname",
            "bezeichnung",
            "titel",
            "nom",
            "nombre",
            "nome",
            "naam",
            "titre",
            "titulo",
            "título",
            "titolo",
            "nazwa",
            "label",
            "商品名称",
            "商品标题",
            "产品名称",
            "品名",
            "名称",
            "标题",
            "商品名稱",
        ],
        "description" => &[
            "description",
            "bodyhtml",
            "descriptionhtml",
            "longdescription",
            "productdescription",
            "richtextdescription",
            "body",
            "shortdescription",
            "beschreibung",
            "produktbeschreibung",
            "langbeschreibung",
            "descripcion",
            "descripción",
            "descrizione",
            "omschrijving",
            "opis",
            "商品描述",
            "商品详情",
            "描述",
            "详情",
            "简介",
        ],
        "brand" => &[
            "brand",
            "brandname",
            "vendor",
            "manufacturer",
            "manufacturername",
            "marke",
            "hersteller",
            "marque",
            "marca",
            "merk",
            "marka",
            "品牌",
            "品牌名称",
            "商品品牌",
        ],
        "categories" => &[
            "categories",
            "category",
            "producttype",
            "categorypath",
            "categoryname",
            "productcategory",
            "productcategories",
            "itemcategory",
            "kategorien",
            "kategorie",
            "catégories",
            "catégorie",
            "categorie",
            "categorías",
            "categoría",
            "categoria",
            "collections",
            "googleproductcategory",
            "分类",
            "类目",
            "商品分类",
            "商品类目",
            "品类",
            "类别",
            "分類",
            "warengruppe",
            "artikelgruppe",
            "produktgruppe",
        ],
        "tags" => &["tags", "tag", "labels", "keywords", "schlagworte", "etiquetas", "标签", "商品标签"],
        "price" => &[
            "price",
            "variantprice",
            "currentprice",
            "finalprice",
            "sellingprice",
            "unitprice",
            "productprice",
            "itemprice",
            "regularprice",
            "retailprice",
            "listprice",
            "pricetaxincluded",
            "pricetaxincl",
            "pricegross",
            "grossprice",
            "pricettc",
            "ttcprice",
            "preis",
            "verkaufspreis",
            "bruttopreis",
            "prix",
            "precio",
            "prezzo",
            "preço",
            "prijs",
            "cena",
            "prixttc",
            "precioconiva",
            "preisinklmwst",
            "prezzoivaincl",
            "tarifrégulier",
            "prixrégulier",
            "regulärerpreis",
            "precionormal",
            "pris",
            "价格",
            "售价",
            "销售价",
            "商品价格",
            "单价",
            "價格",
            "vkbrutto",
            "vkpreis",
            "vkpreisbrutto",
            "preisbrutto",
            "vk",
        ],
        "currency" => &[
            "currency",
            "currencycode",
            "pricecurrency",
            "währung",
            "waehrung",
            "devise",
            "moneda",
            "valuta",
            "币种",
            "货币",
        ],
        "locale" => &["locale", "language", "lang", "sprache"],
        "image" => &[
            "image",
            "imagelink",
            "imageurl",
            "imagesrc",
            "imageuri",
            "variantimage",
            "mainimage",
            "baseimage",
            "featuredimage",
            "images",
            "imageurls",
            "picture",
            "pictureurl",
            "photo",
            "photourl",
            "img",
            "imgurl",
            "thumbnail",
            "thumbnailurl",
            "covermediaurl",
            "coverimage",
            "bild",
            "bildurl",
            "bilder",
            "imagen",
            "imágenes",
            "immagine",
            "immagini",
            "afbeelding",
            "图片",
            "主图",
            "商品图片",
            "商品主图",
            "图片链接",
            "图片地址",
            "圖片",
        ],
        "available" => &[
            "available",
            "availability",
            "isavailable",
            "instock",
            "isinstock",
            "stockstatus",
            "inventorystatus",
            "enstock",
            "vorrätig",
            "verfügbar",
            "lieferbar",
            "verfügbarkeit",
            "disponibilité",
            "disponibilidad",
            "disponibilità",
        ],
        "stock" => &[
            "stock",
            "stockquantity",
            "stocklevel",
            "stockqty",
            "quantity",
            "qty",
            "inventory",
            "inventoryquantity",
            "variantinventoryqty",
            "quantitytosellonfacebook",
            "onhand",
            "lagerbestand",
            "bestand",
            "quantité",
            "cantidad",
            "quantità",
            "menge",
            "inventario",
            "magazzino",
            "voorraad",
            "库存",
            "库存数量",
            "商品库存",
            "庫存",
        ],
        "published_at" => &[
            "publishedat",
            "createdat",
            "datecreated",
            "dateadded",
            "publishdate",
            "publisheddate",
            "publicationdate",
            "releasedate",
            "addedat",
            "launchdate",
            "productcreationdate",
            "上架时间",
            "上架日期",
            "发布时间",
        ],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chinese_header_is_known() {
        let columns = ["商品编号", "商品名称", "品牌", "分类", "价格", "库存", "图片"];
        let fields = ["id", "title", "brand", "categories", "price", "stock", "image"];
        assert_eq!(fields.map(|field| usual_column(RecordKind::Items, field, &columns)), columns.map(Some));
        let columns = ["用户ID", "商品ID", "行为类型", "下单时间", "数量"];
        let fields = ["user", "item", "type", "at", "quantity"];
        assert_eq!(fields.map(|field| usual_column(RecordKind::Events, field, &columns)), columns.map(Some));
    }

    #[test]
    fn names_are_compact_and_belong_to_one_field() {
        for kind in [RecordKind::Events, RecordKind::Items, RecordKind::Users] {
            let mut seen = Vec::new();
            for field in kind.fields() {
                for name in other_names(kind, field) {
                    assert_eq!(compact(name), *name);
                    // A product's handle is its id where it has no other, else the group of its variants.
                    assert!(*name == "handle" || !seen.contains(name), "{name}");
                    seen.push(name);
                }
            }
        }
    }
}
