//! Snowplow's enriched events as its pipeline writes them: 131 cells between tabs, without a header.

/// The columns in their order.
const COLUMNS: &str = "app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id name_tracker \
    v_tracker v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx network_userid \
    geo_country geo_region geo_city geo_zipcode geo_latitude geo_longitude geo_region_name ip_isp ip_organization ip_domain \
    ip_netspeed page_url page_title page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery \
    page_urlfragment refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery refr_urlfragment refr_medium \
    refr_source refr_term mkt_medium mkt_source mkt_term mkt_content mkt_campaign contexts se_category se_action se_label \
    se_property se_value unstruct_event tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country \
    ti_orderid ti_sku ti_name ti_category ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max \
    useragent br_name br_family br_version br_type br_renderengine br_lang br_features_pdf br_features_flash \
    br_features_java br_features_director br_features_quicktime br_features_realplayer br_features_windowsmedia \
    br_features_gears br_features_silverlight br_cookies br_colordepth br_viewwidth br_viewheight os_name os_family \
    os_manufacturer os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width doc_height \
    tr_currency tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base base_currency geo_timezone mkt_clickid \
    mkt_network etl_tags dvce_sent_tstamp refr_domain_userid refr_dvce_tstamp derived_contexts domain_sessionid \
    derived_tstamp event_vendor event_name event_format event_version event_fingerprint true_tstamp";

const N_COLUMNS: usize = 131;
/// The places of what every event has: the time at which it was collected, what it is, and its id.
const COLLECTED: usize = 3;
const EVENT: usize = 5;
const EVENT_ID: usize = 6;
const EVENTS: [&str; 6] = ["page_view", "page_ping", "unstruct", "struct", "transaction", "transaction_item"];

/// The names of the columns if a line is an enriched event and no header.
pub(super) fn columns_of(line: &[u8]) -> Option<Vec<String>> {
    let line = std::str::from_utf8(line).ok()?;
    let cells: Vec<&str> = line.trim_end_matches('\r').split('\t').collect();
    if cells.len() != N_COLUMNS || !EVENTS.contains(&cells[EVENT]) {
        return None;
    }
    let id = cells[EVENT_ID];
    let is_id = id.len() == 36 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let is_time = cells[COLLECTED].len() >= 19 && cells[COLLECTED].starts_with(|c: char| c.is_ascii_digit());
    (is_id && is_time).then(|| COLUMNS.split(' ').map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_told_from_a_header_and_from_other_rows() {
        let columns: Vec<&str> = COLUMNS.split(' ').collect();
        assert_eq!(columns.len(), N_COLUMNS);
        assert_eq!((columns[COLLECTED], columns[EVENT], columns[EVENT_ID]), ("collector_tstamp", "event", "event_id"));
        assert_eq!((columns[52], columns[58], columns[126]), ("contexts", "unstruct_event", "event_name"));
        assert_eq!(columns_of(COLUMNS.replace(' ', "\t").as_bytes()), None, "a header");
        let mut cells = vec![""; N_COLUMNS];
        (cells[COLLECTED], cells[EVENT]) = ("2026-11-08 17:15:55.123", "unstruct");
        assert_eq!(columns_of(cells.join("\t").as_bytes()), None, "without an id");
        cells[EVENT_ID] = "00000000-0000-0000-0000-0000000003e8";
        assert_eq!(columns_of(cells.join("\t").as_bytes()).map(|names| names.len()), Some(N_COLUMNS));
        assert_eq!(columns_of(cells[1..].join("\t").as_bytes()), None);
    }
}
