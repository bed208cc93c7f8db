//! Compresses a file while building. Use it through `include_flate::flate!`.

use std::path::Path;

use proc_macro::{Literal, TokenStream, TokenTree};

/// DEFLATE's level: higher ones make the dictionary of `jieba-rs` no smaller.
const LEVEL: u8 = 6;

/// The compressed content of a file, as a byte string. In: its path below the folder of the crate that is compiled.
#[proc_macro]
pub fn deflated(input: TokenStream) -> TokenStream {
    let path = input.to_string();
    let path = path.trim().trim_matches('"');
    let folder = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    match std::fs::read(Path::new(&folder).join(path)) {
        Ok(bytes) => {
            let packed = miniz_oxide::deflate::compress_to_vec(&bytes, LEVEL);
            TokenTree::Literal(Literal::byte_string(&packed)).into()
        }
        Err(error) => {
            let message = Literal::string(&format!("{path} in {folder}: {error}"));
            format!("compile_error!({message})").parse().unwrap_or_default()
        }
    }
}
