//! Stands in for the crate of this name in `jieba-rs`, which embeds its dictionary with `flate!`.
//!
//! The original compiles zstd for the build machine and once more for the target, and two DEFLATE crates. Here one small
//! DEFLATE crate, which is in the tree already, compresses the text: 1.9 MB in the binary in place of 5.1.

pub use include_flate_codegen::deflated;

/// The text of these compressed bytes.
///
/// # Panics
/// If they are not what [`deflated`] makes of a text in UTF-8, which a build with such a text shows at once.
pub fn inflate(packed: &[u8]) -> String {
    let bytes = miniz_oxide::inflate::decompress_to_vec(packed).expect("the bytes were compressed while building");
    String::from_utf8(bytes).expect("the file is a text in UTF-8")
}

/// Declares a text that lies in the crate of the caller, by its path below that crate's folder.
#[macro_export]
macro_rules! flate {
    (static $name:ident: str from $path:literal $(with $algorithm:ident)?) => {
        static $name: ::std::sync::LazyLock<::std::string::String> =
            ::std::sync::LazyLock::new(|| $crate::inflate($crate::deflated!($path)));
    };
}
