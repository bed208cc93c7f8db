//! Mappings for the exports of common shop systems, and how such an export is recognised. `docs/mapping.md` describes each, with
//! a file that a test ingests.

mod translated;

use accrue_event::{Mapping, MappingError, RecordKind, fields_named};
use accrue_ingest::Sample;

/// A system's export and its mapping.
#[derive(Debug)]
pub(super) struct System {
    /// The name for `--mapping`.
    pub name: &'static str,
    /// What it is, for messages.
    pub title: &'static str,
    /// Columns, or beginnings of paths, that together only this export has; of those between `|` one is enough.
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
    "shopify-bulk-products", "a bulk query of Shopify's products", ["__parentId", "handle", "sku", "inventoryPolicy|inventoryQuantity|selectedOptions"];
    "shopify-graphql-products", "products of Shopify's interface by GraphQL", ["handle", "vendor|productType", "variants[].selectedOptions"];
    "shopify-api-products", "products of Shopify's REST interface", ["body_html", "handle", "variants[].inventory_policy"];
    "shopify-storefront-products", "products of a Shopify storefront", ["body_html", "handle", "variants[].available", "variants[].option1"];
    "shopify-api-orders", "orders of Shopify's REST interface", ["financial_status", "line_items[].variant_id", "created_at"];
    "shopify-pixel", "events of Shopify's web pixels", ["id", "name", "clientId", "timestamp", "data"];
    "woocommerce-products", "WooCommerce's export of products", ["ID", "SKU", "Name", "Published", "Visibility in catalog", "In stock?", "Regular price", "Sale price", "Parent"];
    "woocommerce-order-lines", "WooCommerce's orders by the plugin for exports of orders", ["order_id", "status", "date", "customer_id", "billing_email", "item_id", "item_name", "item_sku", "item_quantity"];
    "woocommerce-api-products", "products of WooCommerce's REST interface", ["permalink", "stock_status", "regular_price", "parent_id"];
    "woocommerce-api-orders", "orders of WooCommerce's REST interface", ["order_key", "date_created_gmt", "line_items[].product_id"];
    "magento-products", "Magento's export of products", ["sku", "store_view_code", "product_type", "product_online", "visibility"];
    "magento-api-products", "products of Magento's REST interface", ["sku", "attribute_set_id", "type_id", "custom_attributes[].attribute_code"];
    "magento-api-orders", "orders of Magento's REST interface", ["increment_id", "items[].qty_ordered", "items[].sku"];
    "prestashop-products", "PrestaShop's export of products", ["Product ID", "Reference", "Price (tax incl.)", "Quantity", "Status"];
    "prestashop-api-orders", "orders of PrestaShop's web service", ["id_customer", "current_state", "associations.order_rows[].product_id|associations.order_rows.order_row[].product_id|associations.order_rows.order_row.product_id"];
    "prestashop-api-products", "products of PrestaShop's web service", ["id_manufacturer", "id_category_default", "reference", "active", "price", "name"];
    "shopware-products", "Shopware's export of products", ["product_number", "parent_id", "price_gross", "manufacturer_name", "tax_rate"];
    "shopware-api-orders", "orders of Shopware's Admin interface", ["orderNumber", "orderDateTime", "lineItems[].payload.productNumber"];
    "shopware-api-products", "products of Shopware's Admin interface", ["productNumber", "parentId|parent_id", "active", "translated"];
    "commercetools-products", "products of commercetools", ["masterData.current.masterVariant.sku", "masterData.published"];
    "commercetools-projections", "projections of products of commercetools", ["masterVariant.sku", "slug", "name"];
    "squarespace-api-products", "products of Squarespace's interface", ["urlSlug|storePageId|url", "isVisible", "variants[].pricing.basePrice"];
    "squarespace-products", "Squarespace's export of products", ["Product ID [Non Editable]", "Variant ID [Non Editable]", "Title", "Price", "Hosted Image URLs|Visible"];
    "squarespace-orders", "Squarespace's export of orders", ["Order ID", "Email", "Financial Status", "Fulfillment Status", "Created at", "Cancelled at", "Lineitem name", "Lineitem sku"];
    "wix-orders", "Wix's export of orders", ["Order number", "Date created", "Time", "Contact email", "Item", "SKU", "Qty", "Payment status"];
    "wix-products", "Wix's export of products", ["handleId", "fieldType", "name", "productImageUrl", "collection", "sku", "price", "inventory"];
    "ecwid-products", "Ecwid's export of products", ["type", "product_internal_id", "product_sku", "product_name", "product_price", "product_variation_sku"];
    "ecwid-api-orders", "orders of Ecwid's interface", ["orderNumber", "paymentStatus", "createDate", "items[].productId", "items[].quantity"];
    "wix-api-products", "products of Wix Stores' interface", ["productType", "priceData.currency", "variants[].variant", "slug"];
    "bigcommerce-api-products", "products of BigCommerce's interface", ["inventory_tracking", "is_visible", "price", "calculated_price|brand_id", "sku"];
    "bigcommerce-api-orders", "orders of BigCommerce's interface with their products", ["billing_address", "status_id", "products[].order_id", "products[].product_id"];
    "bigcommerce-bulk-edit", "BigCommerce's export of products before v3", ["Item Type", "Product ID", "Product Name", "Product Code/SKU", "Price"];
    "bigcommerce-products", "BigCommerce's export of products", ["Item", "ID", "Name", "SKU", "Options", "Inventory Tracking", "Current Stock", "Price"];
    "shopify-customers", "Shopify's export of customers", ["Customer ID", "Email", "Accepts Email Marketing", "Total Orders"];
    "gorse-users", "Gorse's users", ["UserId", "Labels|Subscribe", "Comment|Subscribe"];
    "klaviyo", "metrics of Klaviyo", ["event", "customer_properties", "properties", "time"];
    "matomo", "visits of Matomo", ["visitorId", "actionDetails[].timestamp", "actionDetails[].type"];
    "ga4-bigquery", "Google Analytics' export to BigQuery", ["event_name", "event_timestamp", "user_pseudo_id"];
    "segment", "calls of Segment", ["type", "messageId", "anonymousId|userId", "event", "properties"];
    "snowplow", "events of Snowplow", ["domain_userid", "derived_tstamp", "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"];
    "snowplow-tsv", "enriched events of Snowplow", ["etl_tstamp", "collector_tstamp", "unstruct_event", "contexts", "derived_tstamp", "domain_userid"];
    "opensearch-ubi-queries", "queries of OpenSearch UBI", ["query_id", "user_query", "query_response_id", "client_id", "timestamp"];
    "opensearch-ubi", "events of OpenSearch UBI", ["action_name", "client_id", "event_attributes"];
    "meta-catalogue", "a feed for a catalogue of Meta", ["id", "title", "image_link", "availability", "price", "condition", "fb_product_category|quantity_to_sell_on_facebook|rich_text_description|origin_country|video[0].url|style[0]|product_tags[0]|status"];
    "google-merchant", "a feed for Google Merchant Center", ["id", "title", "link", "image_link", "availability", "price"];
    "gorse-items", "Gorse's items", ["ItemId", "IsHidden"];
    "gorse-feedback", "Gorse's feedback", ["FeedbackType", "ItemId", "UserId"];
}

/// Columns of a signature of which a file that lacks one is told.
const MIN_NEAR: usize = 5;

impl System {
    /// The system of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        SYSTEMS.iter().find(|system| system.name == name)
    }

    /// The system that wrote a file, if the file has all columns that its mapping needs. `kind` is what the command line says
    /// that the file describes.
    pub fn recognise(sample: &Sample, kind: Option<RecordKind>) -> Option<(&'static Self, Mapping)> {
        SYSTEMS.iter().filter(|system| system.is_signed_by(sample)).find_map(|system| {
            let mapping = system.mapping_for(sample).ok()?;
            let header: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
            let fits = !sample.is_table || mapping.bind(&header).is_ok();
            (fits && kind.is_none_or(|kind| kind == mapping.kind)).then_some((system, mapping))
        })
    }

    /// A system whose columns a table has, but for one that recognises it or that its mapping needs, and that column.
    pub fn lacking(sample: &Sample, kind: Option<RecordKind>) -> Option<(&'static Self, String)> {
        if !sample.is_table {
            return None;
        }
        let header: Vec<&str> = sample.columns.iter().map(String::as_str).collect();
        SYSTEMS.iter().find_map(|system| {
            let missing = system.missing(sample);
            let is_near = missing.is_empty() || (missing.len() == 1 && system.signature.len() >= MIN_NEAR);
            let mapping = is_near.then(|| system.mapping_for(sample).ok()).flatten()?;
            let is_meant = kind.is_none_or(|kind| kind == mapping.kind);
            match (&missing[..], mapping.bind(&header)) {
                _ if !is_meant => None,
                ([], Err(MappingError::NoColumn { column, .. })) => Some((system, column.into())),
                ([column], _) if system.has_own_names(mapping.kind, column) => Some((system, (*column).to_owned())),
                _ => None,
            }
        })
    }

    /// Whether several columns of the signature without this one have names that no other list has.
    fn has_own_names(&self, kind: RecordKind, without: &str) -> bool {
        let others = self.signature.iter().filter(|names| !names.split('|').any(|name| name == without));
        let own = others.filter(|names| names.split('|').all(|name| fields_named(kind, name).next().is_none()));
        own.count() >= 2
    }

    /// What is said of a file of this system that lacks a column.
    pub fn told_lacking(&self, column: &str) -> String {
        let Self { title, name, .. } = self;
        format!(
            "this looks like {title}, but has no column `{column}`, so it is read by the names of its columns; --mapping {name} reads it as \
             such an export, and says what is missing"
        )
    }

    fn is_signed_by(&self, sample: &Sample) -> bool {
        self.missing(sample).is_empty()
    }

    /// The columns of the signature that a file does not have.
    fn missing(&self, sample: &Sample) -> Vec<&'static str> {
        let translated = translated::columns(self.name, sample);
        let has = |name: &str| {
            let is_column = sample.columns.iter().any(|column| match column.strip_prefix(name) {
                Some(rest) => rest.is_empty() || rest.starts_with(['.', '[']),
                None => sample.is_table && translated::is_same(column, name),
            });
            is_column || translated.iter().any(|(english, _)| *english == name)
        };
        let missing = self.signature.iter().filter(|names| !names.split('|').any(has));
        missing.map(|names| names.split('|').next().unwrap_or(names)).collect()
    }

    /// The mapping as a file would have it, with the names that the columns have in this one.
    pub fn text_for(&self, sample: &Sample) -> String {
        let mut text = self.text.to_owned();
        if !sample.is_table {
            return text;
        }
        let quoted = |name: &str| toml::Value::String(name.to_owned()).to_string();
        for (english, column) in translated::columns(self.name, sample) {
            text = text.replace(&format!("\"{english}\""), &quoted(&column));
            // Columns that stand for several.
            if english.contains('1') {
                let several = format!("\"{}\"", english.replacen('1', "*", 1));
                text = text.replace(&several, &quoted(&column.replacen('1', "*", 1)));
            }
        }
        // `image link` for `image_link`.
        let Ok(mapping) = toml::from_str::<Mapping>(&text) else { return text };
        for name in mapping.column_names().filter(|name| !sample.columns.iter().any(|column| column == name)) {
            if let Some(column) = sample.columns.iter().find(|column| translated::is_same(column, name)) {
                let column = quoted(column);
                text = text.replace(&format!("\"{name}\""), &column);
                // The mapping may name the column too.
                text = text.replace(&format!("{column}, {column}"), &column);
            }
        }
        text
    }

    /// The mapping for this file.
    pub fn mapping_for(&self, sample: &Sample) -> Result<Mapping, toml::de::Error> {
        toml::from_str(&self.text_for(sample))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mapping_is_valid() {
        for system in SYSTEMS {
            let mapping: Result<Mapping, _> = toml::from_str(system.text);
            let mapping = mapping.unwrap_or_else(|error| panic!("{}: {error}", system.name));
            mapping.validate().unwrap_or_else(|error| panic!("{}: {error}", system.name));
            assert!(System::named(system.name).is_some());
        }
    }
}
