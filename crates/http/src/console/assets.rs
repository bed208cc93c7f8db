//! The console's own style sheet and script. Their address has a checksum, so that browsers keep them for good.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::super::problem::{Code, Problem};

/// A file that the binary holds.
pub(super) struct Asset {
    name: &'static str,
    kind: &'static str,
    content: &'static str,
}

/// The files.
pub(super) static STYLE: Asset =
    Asset { name: "console.css", kind: "text/css; charset=utf-8", content: include_str!("assets/console.css") };
pub(super) static SCRIPT: Asset =
    Asset { name: "console.js", kind: "text/javascript; charset=utf-8", content: include_str!("assets/console.js") };

pub(super) static ICON: Asset =
    Asset { name: "icon.svg", kind: "image/svg+xml", content: include_str!("assets/icon.svg") };

impl Asset {
    /// Its address, which changes with its content.
    pub fn address(&self) -> String {
        format!("/console/assets/{}?v={:08x}", self.name, checksum(self.content))
    }
}

/// FNV-1a: it tells one build's file from another's.
fn checksum(content: &str) -> u32 {
    content.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// Answers with a file.
pub(super) async fn asset(Path(name): Path<String>) -> Result<Response, Problem> {
    let Some(asset) = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name) else {
        return Err(Problem::new(Code::NotFound, "the console has no such file"));
    };
    let headers = [
        (header::CONTENT_TYPE, asset.kind),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((StatusCode::OK, headers, asset.content).into_response())
}
