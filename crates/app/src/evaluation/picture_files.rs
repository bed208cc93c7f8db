//! Pictures for an evaluation: the files of a folder, or of an archive that stays packed.
//!
//! In: a folder, or a tar archive, plain or compressed with zstd. Out: the bytes of its files by their names without
//! folders and endings, which are ids of items. Nothing is unpacked to a disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use accrue_encode::MAX_PICTURE_BYTES;
use anyhow::{Context as _, bail, ensure};

/// Bytes of a block of a tar archive.
const BLOCK: usize = 512;
/// The largest window that an archive may have been compressed with: `zstd --long=27`.
const WINDOW_LOG: u32 = 27;

/// Where pictures lie.
pub(super) enum PictureFiles {
    /// The files of a folder by their names without endings.
    Folder(BTreeMap<String, PathBuf>),
    /// An archive.
    Archive(PathBuf),
}

impl PictureFiles {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        if !path.is_dir() {
            return Ok(Self::Archive(path.into()));
        }
        let mut files = BTreeMap::new();
        for entry in std::fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))? {
            let file = entry.with_context(|| format!("{} cannot be read", path.display()))?.path();
            if let Some(name) = file.file_stem().filter(|_| file.is_file()) {
                files.insert(name.to_string_lossy().into_owned(), file);
            }
        }
        Ok(Self::Folder(files))
    }

    /// The names of all files.
    pub fn names(&self) -> anyhow::Result<BTreeSet<String>> {
        match self {
            Self::Folder(files) => Ok(files.keys().cloned().collect()),
            Self::Archive(path) => {
                let mut names = BTreeSet::new();
                each_of_archive(path, |name, _| {
                    names.insert(name);
                    Ok(())
                })?;
                Ok(names)
            }
        }
    }

    /// Calls `read` with the name and the bytes of each file whose name is `wanted`.
    pub fn each(
        &self,
        wanted: &BTreeMap<&str, usize>,
        mut read: impl FnMut(&str, &[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        match self {
            Self::Folder(files) => {
                for (name, file) in files.iter().filter(|(name, _)| wanted.contains_key(&***name)) {
                    let bytes = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
                    read(name, &bytes)?;
                }
                Ok(())
            }
            Self::Archive(path) => each_of_archive(path, |name, bytes| match wanted.contains_key(&*name) {
                true => read(&name, bytes),
                false => Ok(()),
            }),
        }
    }
}

/// Calls `read` with each file of an archive.
fn each_of_archive(path: &Path, mut read: impl FnMut(String, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("{name} cannot be read"))?;
    let file = BufReader::new(file);
    if path.extension().is_some_and(|ending| ending == "zst") {
        let mut decoder = zstd::stream::read::Decoder::with_buffer(file).with_context(|| name.to_string())?;
        decoder.window_log_max(WINDOW_LOG)?;
        return each_entry(decoder, &mut read).with_context(|| format!("{name}, a tar archive"));
    }
    each_entry(file, &mut read).with_context(|| format!("{name}, a tar archive"))
}

fn each_entry(mut archive: impl Read, read: &mut dyn FnMut(String, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
    let (mut header, mut bytes) = ([0; BLOCK], Vec::new());
    let mut is_first = true;
    loop {
        let n = read_up_to(&mut archive, &mut header)?;
        ensure!(n > 0 || !is_first, "it ends before its first entry");
        // Some programs leave out the zeros at the end.
        if n == 0 || header.iter().all(|&byte| byte == 0) {
            return Ok(());
        }
        ensure!(n == BLOCK, "it ends within an entry");
        ensure!(
            is_whole(&header),
            "an entry has a wrong checksum; expected a tar archive, plain or compressed with zstd"
        );
        is_first = false;
        let n_bytes = octal(&header[124..136]).context("the size of an entry is no number")?;
        ensure!(n_bytes <= MAX_PICTURE_BYTES, "an entry has {n_bytes} bytes; at most {MAX_PICTURE_BYTES} are read");
        bytes.resize(n_bytes as usize, 0);
        archive.read_exact(&mut bytes).context("it ends within an entry")?;
        let padding = (BLOCK - n_bytes as usize % BLOCK) % BLOCK;
        if archive.read_exact(&mut [0; BLOCK][..padding]).is_err() {
            bail!("it ends within an entry");
        }
        // Other kinds are folders, links, and headers with long names, which ids of items do not need.
        if matches!(header[156], b'0' | 0) {
            let name = header[..100].split(|&byte| byte == 0).next().unwrap_or(&[]);
            let name = String::from_utf8_lossy(name).into_owned();
            if let Some(stem) = Path::new(&name).file_stem() {
                read(stem.to_string_lossy().into_owned(), &bytes)?;
            }
        }
    }
}

/// Fills a block, or what is left of the archive; returns how many bytes that were.
fn read_up_to(archive: &mut impl Read, block: &mut [u8; BLOCK]) -> anyhow::Result<usize> {
    let mut n = 0;
    while n < BLOCK {
        match archive.read(&mut block[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(n)
}

/// Whether the checksum of a header is right; its own field counts as spaces.
fn is_whole(header: &[u8; BLOCK]) -> bool {
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(at, &byte)| u64::from(if (148..156).contains(&at) { b' ' } else { byte }))
        .sum();
    octal(&header[148..156]) == Some(sum)
}

/// A number in octal digits, with spaces or zeros around it.
fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    u64::from_str_radix(text.trim_matches(|c| c == ' ' || c == '\0'), 8).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, kind: u8, bytes: &[u8]) -> Vec<u8> {
        let mut header = [0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", bytes.len()).as_bytes());
        header[148..156].fill(b' ');
        header[156] = kind;
        let sum: u64 = header.iter().map(|&byte| u64::from(byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut all = header.to_vec();
        all.extend(bytes);
        all.resize(all.len().next_multiple_of(BLOCK), 0);
        all
    }

    fn read(path: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
        let files = PictureFiles::open(path)?;
        let names = files.names()?;
        let wanted: BTreeMap<&str, usize> = names.iter().map(|name| (&**name, 0)).collect();
        let mut found = Vec::new();
        files.each(&wanted, |name, bytes| {
            found.push((name.to_string(), bytes.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn a_folder_and_both_archives_have_the_same_files() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pictures");
        std::fs::create_dir(&folder).unwrap();
        let files = [("7", vec![1; 700]), ("8", vec![2; 512]), ("9", Vec::new())];
        files.iter().for_each(|(name, bytes)| std::fs::write(folder.join(format!("{name}.jpg")), bytes).unwrap());
        let expected: Vec<(String, Vec<u8>)> =
            files.iter().map(|(name, bytes)| ((*name).into(), bytes.clone())).collect();
        assert_eq!(read(&folder).unwrap(), expected);
        let mut tar = entry("pictures/", b'5', &[]);
        files.iter().for_each(|(name, bytes)| tar.extend(entry(&format!("pictures/{name}.jpg"), b'0', bytes)));
        tar.extend([0; 2 * BLOCK]);
        let path = dir.path().join("a.tar");
        std::fs::write(&path, &tar).unwrap();
        assert_eq!(read(&path).unwrap(), expected);
        let packed = dir.path().join("a.tar.zst");
        std::fs::write(&packed, zstd::encode_all(&*tar, 3).unwrap()).unwrap();
        assert_eq!(read(&packed).unwrap(), expected);
        let is_wrong = |bytes: &[u8], expected: &str| {
            std::fs::write(&path, bytes).unwrap();
            let error = format!("{:#}", read(&path).unwrap_err());
            assert!(error.contains(expected) && error.contains("a.tar"), "{error}");
        };
        is_wrong(&tar[..BLOCK + 100], "ends within an entry");
        is_wrong(&tar[..BLOCK * 2 + 100], "ends within an entry");
        is_wrong(&[b'x'; 600], "wrong checksum");
        is_wrong(&[], "ends before its first entry");
    }
}
