//! Mappings for the exports of common shop systems, and how such an export is recognised. `docs/mapping.md` describes each, with
//! a file that a test ingests.

use accrue_event::{Mapping, RecordKind};
use accrue_ingest::Sample;

/// A system's export and its mapping.
#[derive(Debug)]
pub(super) struct System {
    /// The name for `--mapping`.
    pub name: &'static str,
    /// What it is, for messages.
    pub title: &'static str,
    /// Columns, or beginnings of paths, that together only this export has.
    signature: &'static [&'static str],
    /// The mapping as a file would have it.
    pub text: &'static str,
}

macro_rules! systems {
    ($($name:literal, $title:literal, [$($column:literal),+];)+) => {
        /// All systems. The earlier ones have the more exact signatures.
        pub(super) const SYSTEMS: &[System] = &[$(System {
            name: $name,
            title: $title,
            signature: &[$($column),+],
            text: include_str!(concat!("../../../../../examples/mapping/", $name, ".toml")),
        }),+];
    };
}

systems! {
    "shopify-products", "Shopify's export of products", ["Handle", "Title", "Variant SKU", "Variant Price", "Option1 Value", "Variant Inventory Policy", "Variant Inventory Tracker"];
    "shopify-products", "Shopify's export of products", ["URL handle", "Title", "SKU", "Price", "Option1 value", "Inventory quantity", "Continue selling when out of stock"];
    "shopify-orders", "Shopify's export of orders", ["Name", "Email", "Financial Status", "Cancelled at", "Lineitem name", "Lineitem sku"];
    "shopify-api-products", "products of Shopify's REST interface", ["body_html", "handle", "variants[].inventory_policy"];
    "shopify-api-orders", "orders of Shopify's REST interface", ["financial_status", "line_items[].variant_id", "created_at"];
    "shopify-pixel", "events of Shopify's web pixels", ["id", "name", "clientId", "timestamp", "data"];
    "woocommerce-products", "WooCommerce's export of products", ["ID", "SKU", "Name", "Published", "Visibility in catalog", "In stock?", "Regular price", "Sale price", "Parent"];
    "woocommerce-api-products", "products of WooCommerce's REST interface", ["permalink", "stock_status", "regular_price", "parent_id"];
    "woocommerce-api-orders", "orders of WooCommerce's REST interface", ["order_key", "date_created_gmt", "line_items[].product_id"];
    "magento-products", "Magento's export of products", ["sku", "store_view_code", "product_type", "product_online", "visibility"];
    "prestashop-products", "PrestaShop's export of products", ["Product ID", "Reference", "Price (tax incl.)", "Quantity", "Status"];
    "prestashop-products", "PrestaShop's export of products", ["ID produit", "Référence", "Prix (TTC)", "Quantité", "État"];
    "prestashop-products", "PrestaShop's export of products", ["ID de producto", "Referencia", "Precio (imp. incl.)", "Cantidad", "Estado"];
    "prestashop-products", "PrestaShop's export of products", ["ID prodotto", "Riferimento", "Prezzo (tasse incl.)", "Quantità", "Stato"];
    "ga4-bigquery", "Google Analytics' export to BigQuery", ["event_name", "event_timestamp", "user_pseudo_id"];
    "segment", "calls of Segment", ["type", "messageId", "anonymousId", "event", "properties"];
    "snowplow", "events of Snowplow", ["domain_userid", "derived_tstamp", "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"];
    "opensearch-ubi", "events of OpenSearch UBI", ["action_name", "client_id", "event_attributes"];
    "meta-catalogue", "a feed for a catalogue of Meta", ["id", "title", "image_link", "availability", "price", "sale_price", "condition", "quantity_to_sell_on_facebook"];
    "meta-catalogue", "a feed for a catalogue of Meta", ["id", "title", "image_link", "availability", "price", "sale_price", "condition", "fb_product_category"];
    "google-merchant", "a feed for Google Merchant Center", ["id", "title", "image_link", "availability", "price", "sale_price", "condition", "link", "google_product_category"];
    "gorse-items", "Gorse's items", ["ItemId", "IsHidden"];
    "gorse-feedback", "Gorse's feedback", ["FeedbackType", "ItemId", "UserId"];
}

impl System {
    /// The system of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SYSTEMS.iter().find(|system| system.name == name)
    }

    /// The system that wrote a file, if the file has all columns that its mapping needs. `kind` is what the command line says
    /// that the file describes.
    pub fn recognise(sample: &Sample, kind: Option<RecordKind>) -> Option<(&'static Self, Mapping)> {
        let has = |name: &str| {
            sample.columns.iter().any(|column| match column.strip_prefix(name) {
                Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
                None => false,
            })
        };
        SYSTEMS.iter().filter(|system| system.signature.iter().all(|name| has(name))).find_map(|system| {
            let mapping = system.mapping().ok()?;
            let header: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
            let fits = !sample.is_table || mapping.bind(&header).is_ok();
            (fits && kind.is_none_or(|kind| kind == mapping.kind)).then_some((system, mapping))
        })
    }

    /// The mapping.
    pub fn mapping(&self) -> Result<Mapping, toml::de::Error> {
        toml::from_str(self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mapping_is_valid() {
        for system in SYSTEMS {
            let mapping = system.mapping().unwrap_or_else(|error| panic!("{}: {error}", system.name));
            mapping.validate().unwrap_or_else(|error| panic!("{}: {error}", system.name));
            assert!(System::named(system.name).is_some());
        }
    }
}
