//! Stands in for the crate of this name in `jieba-rs`, which embeds its dictionary with `flate!`.
//!
//! The original compresses the text while building: it compiles zstd for the build machine and once more for the target, and
//! two DEFLATE crates. Here the text is embedded as it is: 3 MB more in the binary, and nothing to decompress at the first Han text.

/// Declares a text that lies in the crate of the caller, by its path below that crate's folder.
#[macro_export]
macro_rules! flate {
    (static $name:ident: str from $path:literal $(with $algorithm:ident)?) => {
        static $name: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $path));
    };
}
