//! What the server's own pages show beside the shop: settings that another part of the program has read, and whether
//! there is a storefront.

/// What the pages for people show of the program around the server.
#[derive(Clone, Debug, Default)]
pub struct Site {
    /// The settings in force, by key; secrets are left out.
    pub settings: Vec<ShownSetting>,
    /// The name of the shop whose storefront is at `/`; without one there is a small page about the server.
    pub storefront: Option<String>,
}

/// A setting as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownSetting {
    /// Its key, such as `learn.seed`.
    pub key: String,
    /// Its value, as in the configuration file.
    pub value: String,
    /// Where it comes from: a file, a variable or a flag.
    pub origin: String,
    /// Whether no source names it.
    pub is_default: bool,
}
