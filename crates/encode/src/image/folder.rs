//! Where the pictures of a catalogue lie: what an item names becomes a file under one folder, or nothing.
//!
//! In: the `image` of an item: a path, or an address that begins with the one the folder stands for. Out: the file
//! and its size. Nothing is downloaded, and no name leads out of the folder: not `..`, not a link, not an absolute
//! path, which is read from the folder's top as in an address.

use std::path::{Component, Path, PathBuf};

use crate::{EncodeError, PictureFault};

/// A folder of pictures.
#[derive(Debug)]
pub struct PictureFolder {
    /// Without links.
    folder: PathBuf,
    /// What addresses begin with whose rest is a path in the folder; empty for none.
    address: String,
}

/// What an item's `image` stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureFile {
    /// A file, with its size in bytes.
    File(PathBuf, u64),
    /// No such file, or none yet.
    Absent,
    /// An address elsewhere, or a name that leads out of the folder: never read.
    Elsewhere,
}

impl PictureFolder {
    /// A folder that addresses beginning with `address` stand for.
    ///
    /// # Errors
    /// If there is no such folder.
    pub fn open(folder: &Path, address: &str) -> Result<Self, EncodeError> {
        let io = |source| EncodeError::Io { path: folder.into(), source };
        let found = folder.canonicalize().map_err(io)?;
        if !found.is_dir() {
            return Err(EncodeError::Picture { path: folder.into(), fault: PictureFault::NoFolder });
        }
        Ok(Self { folder: found, address: address.to_owned() })
    }

    /// The file that an item's `image` names.
    pub fn find(&self, image: &str) -> PictureFile {
        let image = image.trim();
        let of_address = image.strip_prefix(&self.address).filter(|_| !self.address.is_empty());
        let path = match of_address {
            Some(rest) => unescaped(rest.split(['?', '#']).next().unwrap_or("")),
            None if image.contains("://") || image.starts_with("//") || image.starts_with("data:") => {
                return PictureFile::Elsewhere;
            }
            None => image.to_owned(),
        };
        let mut relative = PathBuf::new();
        for part in Path::new(&path).components() {
            match part {
                Component::Normal(name) => relative.push(name),
                Component::RootDir | Component::CurDir => {}
                Component::ParentDir | Component::Prefix(_) => return PictureFile::Elsewhere,
            }
        }
        if relative.as_os_str().is_empty() {
            return PictureFile::Absent;
        }
        // Links are followed before the check, so that one that leads out of the folder is not.
        let Ok(file) = self.folder.join(relative).canonicalize() else { return PictureFile::Absent };
        if !file.starts_with(&self.folder) {
            return PictureFile::Elsewhere;
        }
        match file.metadata() {
            Ok(metadata) if metadata.is_file() => PictureFile::File(file, metadata.len()),
            _ => PictureFile::Absent,
        }
    }
}

/// A part of an address with its `%20`s as characters; what is not UTF-8 then names no file.
fn unescaped(path: &str) -> String {
    let (bytes, mut out) = (path.as_bytes(), Vec::new());
    let mut at = 0;
    while at < bytes.len() {
        let digits = path.get(at + 1..at + 3).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| bytes[at] == b'%') {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_files_of_the_folder_and_to_no_others() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pictures");
        std::fs::create_dir_all(folder.join("a b")).unwrap();
        std::fs::write(folder.join("a b/c.jpg"), "xyz").unwrap();
        std::fs::write(dir.path().join("secret.jpg"), "secret").unwrap();
        let pictures = PictureFolder::open(&folder, "https://shop.example/media/").unwrap();
        let file = PictureFile::File(folder.canonicalize().unwrap().join("a b/c.jpg"), 3);
        for name in [
            "a b/c.jpg",
            "/a b/./c.jpg",
            " a b/c.jpg\n",
            "https://shop.example/media/a%20b/c.jpg?width=80",
            "https://shop.example/media//a b/c.jpg#x",
        ] {
            assert_eq!(pictures.find(name), file, "{name}");
        }
        for name in [
            "../secret.jpg",
            "a b/../../secret.jpg",
            "/../secret.jpg",
            "https://shop.example/media/%2e%2e/secret.jpg",
            "https://shop.example/media/..%2Fsecret.jpg",
            "https://elsewhere.example/a b/c.jpg",
            "//elsewhere.example/c.jpg",
            "file:///etc/passwd",
            "data:image/png;base64,AAAA",
        ] {
            assert_eq!(pictures.find(name), PictureFile::Elsewhere, "{name}");
        }
        for name in ["", "/", ".", "a b", "none.jpg", "a\0b", "%", "https://shop.example/media/", "a b/c.jpg/x"] {
            assert_eq!(pictures.find(name), PictureFile::Absent, "{name}");
        }
        let long = "x/".repeat(100_000);
        assert_eq!(pictures.find(&long), PictureFile::Absent);
        let absolute = dir.path().join("secret.jpg");
        assert_eq!(pictures.find(absolute.to_str().unwrap()), PictureFile::Absent, "read from the folder's top");
        assert!(
            PictureFolder::open(&folder.join("a b/c.jpg"), "").unwrap_err().to_string().contains("expected a folder")
        );
        assert!(PictureFolder::open(&folder.join("none"), "").unwrap_err().to_string().contains("none"));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_out_of_the_folder_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("pictures");
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(dir.path().join("secret.jpg"), "secret").unwrap();
        std::fs::write(folder.join("own.jpg"), "own").unwrap();
        std::os::unix::fs::symlink(dir.path().join("secret.jpg"), folder.join("out.jpg")).unwrap();
        std::os::unix::fs::symlink(folder.join("own.jpg"), folder.join("in.jpg")).unwrap();
        std::os::unix::fs::symlink(dir.path(), folder.join("up")).unwrap();
        let pictures = PictureFolder::open(&folder, "").unwrap();
        assert_eq!(pictures.find("out.jpg"), PictureFile::Elsewhere);
        assert_eq!(pictures.find("up/secret.jpg"), PictureFile::Elsewhere);
        assert!(matches!(pictures.find("in.jpg"), PictureFile::File(_, 3)));
    }
}
