//! Bytes of a file or of standard input, decompressed where they are compressed, counted as they are read.

use std::fs::File;
use std::io::{self, BufRead, Cursor, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flate2::bufread::GzDecoder;

use super::error::ReadError;

const BUFFER_BYTES: usize = 128 << 10;
const ZSTD: &[u8] = &[0x28, 0xB5, 0x2F, 0xFD];
const GZIP: &[u8] = &[0x1F, 0x8B];

/// How many bytes of the files themselves (before decompression) have been read. Shared with a progress bar.
#[derive(Clone, Debug, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    /// Sets the bytes so far, for a file that is not read from its beginning to its end.
    #[cfg(feature = "parquet")]
    pub(super) fn set(&self, bytes: u64) {
        self.0.store(bytes, Ordering::Relaxed);
    }
}

/// Bytes to read records from.
pub(super) struct Input {
    pub name: String,
    pub bytes: Box<dyn Read + Send>,
}

impl Input {
    /// Opens a file; `-` is standard input.
    pub fn open(path: &Path, progress: &Progress) -> Result<Self, ReadError> {
        let name = path.display().to_string();
        if path == Path::new("-") {
            return Self::new("standard input".into(), path, Box::new(io::stdin()), progress);
        }
        let failed = |source| ReadError::Open { name: path.display().to_string(), source };
        let file = File::open(path).map_err(failed)?;
        if file.metadata().map_err(failed)?.is_dir() {
            return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder; name the files in it")));
        }
        Self::new(name, path, Box::new(file), progress)
    }

    /// Wraps bytes, with decompression where their first ones ask for it.
    pub fn new(name: String, path: &Path, bytes: Box<dyn Read + Send>, progress: &Progress) -> Result<Self, ReadError> {
        let mut counted = ReportedBytes { bytes, progress: progress.clone() };
        let start = read_start(&mut counted, 4).map_err(|source| ReadError::Open { name: name.clone(), source })?;
        let (is_zstd, is_gzip) = (start.starts_with(ZSTD), start.starts_with(GZIP));
        let promised = [("zst", is_zstd), ("gz", is_gzip)];
        let broken = promised.iter().find(|(ending, is)| !is && path.extension() == Some(ending.as_ref()));
        if let Some((ending, _)) = broken {
            let what = format!("the name ends in .{ending}, but the content is not compressed that way; rename it");
            return Err(ReadError::Format { name, what });
        }
        let whole = io::BufReader::with_capacity(BUFFER_BYTES, Cursor::new(start).chain(counted));
        let bytes: Box<dyn Read + Send> = if is_zstd {
            let decoder = zstd::stream::read::Decoder::with_buffer(whole);
            Box::new(decoder.map_err(|source| ReadError::Open { name: name.clone(), source })?)
        } else if is_gzip {
            Box::new(Members::new(whole))
        } else {
            Box::new(whole)
        };
        Ok(Self { name, bytes })
    }
}

/// The members of a gzip file one after the other. Zeros behind the last one fill the block of a tape or of a disk, and
/// end the content, as they do for `gzip` itself; anything else that is no member is damage.
struct Members<R> {
    /// `None` once the content has ended.
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(bytes: R) -> Self {
        Self { member: Some(GzDecoder::new(bytes)) }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let n = member.read(buffer)?;
            if n > 0 || buffer.is_empty() {
                return Ok(n);
            }
            let has_ended = skip_zeros(member.get_mut())?;
            let ended = self.member.take();
            self.member = ended.filter(|_| !has_ended).map(|member| GzDecoder::new(member.into_inner()));
        }
        Ok(0)
    }
}

/// Skips zeros. Returns whether nothing follows them.
fn skip_zeros(bytes: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let ahead = bytes.fill_buf()?;
        let n_zeros = ahead.iter().take_while(|byte| **byte == 0).count();
        if ahead.is_empty() || n_zeros < ahead.len() {
            return Ok(ahead.is_empty());
        }
        bytes.consume(n_zeros);
    }
}

/// The first `n` bytes, or all if there are fewer.
pub(super) fn read_start(bytes: &mut impl Read, n: usize) -> io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(n);
    bytes.take(n as u64).read_to_end(&mut start)?;
    Ok(start)
}

struct ReportedBytes {
    bytes: Box<dyn Read + Send>,
    progress: Progress,
}

impl Read for ReportedBytes {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.bytes.read(buffer)?;
        self.progress.0.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}
