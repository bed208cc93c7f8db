//! Signs of the menu: lines on a field of 24 by 24.

pub(super) const OVERVIEW: &str = "M4 13h6V4H4zM4 20h6v-4H4zM14 20h6v-9h-6zM14 4v4h6V4z";
pub(super) const QUALITY: &str = "M3 17l6-6 4 4 8-9M15 6h6v6";
pub(super) const PLAYGROUND: &str = "M4 5h7v14H4zM13 5h7v14h-7z";
pub(super) const CATALOGUE: &str = "M4 7l8-4 8 4v10l-8 4-8-4zM4 7l8 4 8-4M12 11v10";
pub(super) const SEARCHES: &str = "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13zM15.5 15.5L21 21";
pub(super) const RULES: &str = "M5 4v16M12 4v16M19 4v16M3 9h4M10 15h4M17 8h4";
pub(super) const CAMPAIGNS: &str = "M4 10v4h3l8 5V5l-8 5zM18 9.5a3.5 3.5 0 0 1 0 5M7 14l1.5 6h2.5l-1-4.5";
pub(super) const EXPERIMENTS: &str = "M9 3h6M10 3v6l-5 9a2 2 0 0 0 2 3h10a2 2 0 0 0 2-3l-5-9V3M7.5 15h9";
pub(super) const WHAT_IF: &str = "M4 12h5l3-6M9 12l3 6M12 6h8M12 18h8M17 3l3 3-3 3M17 15l3 3-3 3";
pub(super) const QUARANTINE: &str = "M12 3l8 3v6c0 5-3.5 8-8 9-4.5-1-8-4-8-9V6zM12 8v5M12 16v.5";
pub(super) const PEOPLE: &str = "M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM2.5 20c0-3.6 2.9-6 6.5-6s6.5 2.4 6.5 6M16 4.5a3.5 3.5 0 0 1 0 6.2M18 14.5c2 .8 3.5 2.8 3.5 5.5";
pub(super) const SETTINGS: &str = "M4 7h10M18 7h2M4 17h2M10 17h10M14 4.5v5M10 14.5v5";
