//! Damage in the write-ahead log of a segment.
//!
//! In: the file that SQLite keeps beside a segment. Out: whether commits lie behind a frame that cannot be read. SQLite takes the first
//! frame whose checksum is wrong as the end, which is right after a crash in the middle of a write. But each commit is made durable
//! before the next one begins, so that a crash leaves at most one commit behind the last whole frame. Where there are more, the bytes
//! were changed later, and the records of these commits were acknowledged. Changes nothing.
//!
//! Format: <https://www.sqlite.org/fileformat2.html#the_write_ahead_log>.

use std::io;
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The first word of a file whose checksums are computed over little-endian words; it is one more for big-endian ones.
const MAGIC: u32 = 0x377f_0682;

/// Where a write-ahead log cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// The bytes before it are good.
    pub at: u64,
    /// Commits behind it.
    pub n_commits: u64,
}

/// The damage of a write-ahead log, if there is any.
pub(super) fn damage(wal: &Path) -> io::Result<Option<Damage>> {
    match std::fs::read(wal) {
        Ok(bytes) => Ok(damage_in(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn damage_in(wal: &[u8]) -> Option<Damage> {
    let header = wal.get(..HEADER)?;
    let order = match word(header, 0) {
        MAGIC => u32::from_le_bytes,
        magic if magic == MAGIC + 1 => u32::from_be_bytes,
        // A file that was only extended, or never written.
        _ => return None,
    };
    let page = word(header, 8) as usize;
    let mut sum = Sum { order, words: (0, 0) };
    sum.add(&header[..24]);
    if page < 512 || !sum.is(&header[24..]) {
        return None;
    }
    let salts = &header[16..24];
    let frames = wal[HEADER..].chunks_exact(FRAME_HEADER + page);
    let is_of_this_run = |frame: &[u8]| frame[8..16] == *salts;
    let n_good = frames
        .clone()
        .take_while(|frame| {
            sum.add(&frame[..8]);
            sum.add(&frame[FRAME_HEADER..]);
            is_of_this_run(frame) && sum.is(&frame[16..24])
        })
        .count();
    // The last frame of a commit has the size of the file in it.
    let n_commits = frames.skip(n_good).filter(|frame| is_of_this_run(frame) && word(frame, 4) != 0).count() as u64;
    let at = (HEADER + n_good * (FRAME_HEADER + page)) as u64;
    (n_commits > 1).then_some(Damage { at, n_commits })
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

/// The checksum of a write-ahead log, which goes on from frame to frame.
struct Sum {
    order: fn([u8; 4]) -> u32,
    words: (u32, u32),
}

impl Sum {
    fn add(&mut self, bytes: &[u8]) {
        let (mut a, mut b) = self.words;
        for pair in bytes.chunks_exact(8) {
            let read = |at: usize| (self.order)(pair[at..at + 4].try_into().expect("four bytes"));
            a = a.wrapping_add(read(0)).wrapping_add(b);
            b = b.wrapping_add(read(4)).wrapping_add(a);
        }
        self.words = (a, b);
    }

    fn is(&self, stored: &[u8]) -> bool {
        self.words == (word(stored, 0), word(stored, 4))
    }
}
