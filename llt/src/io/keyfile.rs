//! The key file: `etc/muster.key`, the same on every node of a cluster.
//!
//! ```text
//! # newest first
//! key 6f1d2c...    64 hexadecimal digits
//! key 0a99e3...    the one before it, while it is being changed
//! ```
//!
//! Whoever can read it can speak for every node, so a file that others can read is refused. Nothing
//! of a key is ever part of an error.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

use crate::seal::{KEYS_MAX, Key, KeyId, Keyring};

/// Why there are no keys. No file was changed, but by [`write_new`], which removes what it could
/// not write whole.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// A new key would go where a file is already; it was not touched.
    #[error("{} is there already, and a key is never overwritten: expected another file", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A line is not what it should be.
    #[error("{}:{line}: expected {expected}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// Others than its owner have rights to it.
    #[error(
        "{}: its mode is {mode:04o}, so others can use it; expected 0600: chmod 600 {}",
        path.display(),
        path.display()
    )]
    Loose {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It holds no key.
    #[error("{}: no key in it; expected `key` and 64 hexadecimal digits", path.display())]
    None {
        /// The file.
        path: PathBuf,
    },
    /// It is a folder, a device or the like.
    #[error("{}: expected a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// It belongs to somebody else.
    #[error("{}: it belongs to user {owner}; expected user {user} or root", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Who we are.
        user: u32,
    },
    /// It cannot be read.
    #[error("cannot read {}: {source}; expected a file of mode 0600 with one or two keys", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line has the same key as one before.
    #[error("{}:{line}: expected another key than that of line {before}", path.display())]
    Same {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// The earlier line.
        before: usize,
    },
    /// It cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Reads the keys; `None` if there is no such file. A symbolic link is followed, and what it leads
/// to is judged.
///
/// # Errors
/// See [`KeyFileError`]: all variants but `Exists` and `Write`.
pub fn load(path: &Path) -> Result<Option<Keyring>, KeyFileError> {
    let failed = |source| KeyFileError::Read { path: path.to_owned(), source };
    // Without O_NONBLOCK a named pipe would hold us up until somebody writes.
    let flags = OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).expect("flags of open are an int");
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    // What was opened is judged: the name may mean another file by now.
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path.to_owned() });
    }
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user && metadata.uid() != 0 {
        return Err(KeyFileError::Owner { path: path.to_owned(), owner: metadata.uid(), user });
    }
    if metadata.mode() & OTHERS != 0 {
        return Err(KeyFileError::Loose { path: path.to_owned(), mode: metadata.mode() & 0o7777 });
    }
    // All at once into one buffer: one that grew would leave its pieces behind.
    let mut text = Zeroizing::new(vec![0; LENGTH_MAX]);
    let mut length = 0;
    loop {
        match (&file).read(&mut text[length..]) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if length == LENGTH_MAX {
        let what = io::Error::new(io::ErrorKind::FileTooLarge, "it is longer than 64 KiB");
        return Err(failed(what));
    }
    parse(path, &text[..length]).map(Some)
}

/// A new key, from the randomness of the system.
///
/// # Errors
/// The system has none.
pub fn generate() -> io::Result<Key> {
    let mut bytes = Zeroizing::new([0; 32]);
    let mut length = 0;
    while length < bytes.len() {
        match getrandom(&mut bytes[length..], GetRandomFlags::empty()) {
            Ok(got) => length += got,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Key::new(*bytes))
}

/// The line of a key, as it stands in the file, with its end.
pub fn line(key: &Key) -> Zeroizing<String> {
    let mut line = Zeroizing::new(String::with_capacity(WORD.len() + 2 + DIGITS));
    line.push_str("key ");
    for byte in key.bytes() {
        for digit in [byte >> 4, byte & 15] {
            line.push(char::from_digit(u32::from(digit), 16).expect("below 16"));
        }
    }
    line.push('\n');
    line
}

/// Makes a key and writes a file with it, mode 0600. A file that is there already is not touched.
///
/// # Errors
/// `Exists`, or `Write`; no file was left behind.
pub fn write_new(path: &Path) -> Result<KeyId, KeyFileError> {
    let failed = |source| KeyFileError::Write { path: path.to_owned(), source };
    let key = generate().map_err(failed)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists { path: path.to_owned() },
        _ => failed(source),
    })?;
    if let Err(error) = write(&mut file, &key) {
        drop(file);
        let _ = std::fs::remove_file(path);
        return Err(failed(error));
    }
    Ok(key.id())
}

fn write(file: &mut File, key: &Key) -> io::Result<()> {
    file.write_all(HEAD.as_bytes())?;
    file.write_all(line(key).as_bytes())?;
    file.sync_all()
}

/// Reads the text of a key file; `path` is for what is wrong with it.
///
/// # Errors
/// `Line`, `None` or `Same`.
pub fn parse(path: &Path, text: &[u8]) -> Result<Keyring, KeyFileError> {
    let mut keys: Vec<(usize, Key)> = Vec::with_capacity(KEYS_MAX);
    for (number, line) in (1..).zip(text.split(|byte| *byte == b'\n')) {
        let wrong = |expected| KeyFileError::Line { path: path.to_owned(), line: number, expected };
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        let digits = line
            .strip_prefix(WORD)
            .filter(|rest| rest.starts_with(b" ") || rest.starts_with(b"\t"));
        let digits = digits.ok_or_else(|| wrong("`key` and 64 hexadecimal digits"))?.trim_ascii();
        if digits.len() != DIGITS {
            return Err(wrong("64 hexadecimal digits after `key`, not more and not fewer"));
        }
        let mut bytes = Zeroizing::new([0; 32]);
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |at: usize| char::from(pair[at]).to_digit(16);
            let both = digit(0).zip(digit(1));
            let (high, low) =
                both.ok_or_else(|| wrong("hexadecimal digits only (0-9, a-f) after `key`"))?;
            *byte = u8::try_from(high << 4 | low).expect("two digits are a byte");
        }
        let key = Key::new(*bytes);
        if keys.len() == KEYS_MAX {
            return Err(wrong("two keys at most; this is the third"));
        }
        if let Some((before, _)) = keys.iter().find(|(_, other)| other.id() == key.id()) {
            let (path, before) = (path.to_owned(), *before);
            return Err(KeyFileError::Same { path, line: number, before });
        }
        keys.push((number, key));
    }
    let mut keys = keys.into_iter().map(|(_, key)| key);
    let Some(first) = keys.next() else { return Err(KeyFileError::None { path: path.to_owned() }) };
    Ok(Keyring::new(first, keys.next()).expect("equal keys were found above"))
}

/// Rights of group and others.
const OTHERS: u32 = 0o077;
const WORD: &[u8] = b"key";
const DIGITS: usize = 64;
/// More than enough for two keys and what somebody has to say about them.
const LENGTH_MAX: usize = 64 << 10;
const HEAD: &str = "\
# The key of a muster cluster: the same file on every node, mode 0600. One key, or two while it is
# being changed: the first seals, both open.
";

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const ONE: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F";
    const TWO: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff";

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self) -> PathBuf {
            self.0.path().join("muster.key")
        }

        /// Loads a file of this text; the ids of its keys, or the error after the path.
        fn load(&self, text: impl AsRef<[u8]>) -> Result<Vec<String>, String> {
            fs::write(self.path(), text).unwrap();
            fs::set_permissions(self.path(), Permissions::from_mode(0o600)).unwrap();
            self.again()
        }

        fn again(&self) -> Result<Vec<String>, String> {
            match load(&self.path()) {
                Ok(keys) => {
                    let ids = keys.iter().flat_map(Keyring::ids);
                    Ok(ids.map(|id| id.to_string()).collect())
                }
                Err(error) => {
                    let text = error.to_string();
                    assert!(!text.contains("0405"), "{text}");
                    Err(text.replace(&self.path().display().to_string(), "FILE"))
                }
            }
        }
    }

    #[test]
    fn one_key_or_two_the_newest_first() {
        let folder = Folder::new();
        assert!(load(&folder.path()).unwrap().is_none());
        let first = folder.load(format!("key {ONE}")).unwrap();
        assert_eq!(first, ["3837224b"]);
        let both = folder.load(format!("# new\r\n\n  key\t{TWO}  # today\r\nkey {ONE}\n")).unwrap();
        assert_eq!(both.len(), 2);
        assert_eq!(both[1], first[0]);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_without_its_text() {
        let folder = Folder::new();
        let wrong = |text: &str, error: &str| assert_eq!(folder.load(text).unwrap_err(), error);
        wrong("", "FILE: no key in it; expected `key` and 64 hexadecimal digits");
        wrong("# only this", "FILE: no key in it; expected `key` and 64 hexadecimal digits");
        wrong(ONE, "FILE:1: expected `key` and 64 hexadecimal digits");
        wrong(&format!("\nkey{ONE}"), "FILE:2: expected `key` and 64 hexadecimal digits");
        let length = "FILE:1: expected 64 hexadecimal digits after `key`, not more and not fewer";
        wrong("key", "FILE:1: expected `key` and 64 hexadecimal digits");
        wrong(&format!("key {}", &ONE[1..]), length);
        wrong(&format!("key {ONE}0"), length);
        wrong(&format!("key {ONE} {TWO}"), length);
        let bad = format!("key {TWO}\nkey {}g", &ONE[1..]);
        wrong(&bad, "FILE:2: expected hexadecimal digits only (0-9, a-f) after `key`");
        let same = format!("key {ONE}\n#\nkey {}\n", ONE.to_lowercase());
        wrong(&same, "FILE:3: expected another key than that of line 1");
        let three = format!("key {ONE}\nkey {TWO}\nkey {}0\n", &TWO[1..]);
        wrong(&three, "FILE:3: expected two keys at most; this is the third");
        let latin = folder.load([b'k', b'e', b'y', b' ', 0xfc, b'\n']).unwrap_err();
        assert_eq!(latin, length);
        let long = folder.load(vec![b'#'; 70_000]).unwrap_err();
        assert!(long.starts_with("cannot read FILE: it is longer than 64 KiB;"), "{long}");
    }

    #[test]
    fn a_file_that_others_can_use_is_refused() {
        let folder = Folder::new();
        folder.load(format!("key {ONE}")).unwrap();
        for mode in [0o640, 0o604, 0o610, 0o602, 0o644, 0o660] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            let expected = format!(
                "FILE: its mode is {mode:04o}, so others can use it; expected 0600: chmod 600 FILE"
            );
            assert_eq!(folder.again().unwrap_err(), expected);
        }
        for mode in [0o400, 0o600, 0o700] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            folder.again().unwrap();
        }
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(folder.path(), Some(4711), None).unwrap();
            let error = folder.again().unwrap_err();
            assert_eq!(error, "FILE: it belongs to user 4711; expected user 0 or root");
        } else {
            println!("skipped: only root can give a file to another owner");
        }
    }

    #[test]
    fn something_else_than_a_file_is_refused_at_once() {
        let folder = Folder::new();
        fs::create_dir(folder.path()).unwrap();
        assert_eq!(folder.again().unwrap_err(), "FILE: expected a regular file");
        fs::remove_dir(folder.path()).unwrap();
        // Nobody writes into this pipe.
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        let (kind, place) = (rustix::fs::FileType::Fifo, rustix::fs::CWD);
        rustix::fs::mknodat(place, folder.path(), kind, mode, 0).unwrap();
        assert_eq!(folder.again().unwrap_err(), "FILE: expected a regular file");
    }

    #[test]
    fn a_new_file_is_private_and_never_overwrites_another() {
        let folder = Folder::new();
        let id = write_new(&folder.path()).unwrap();
        assert_eq!(fs::metadata(folder.path()).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(folder.again().unwrap(), [id.to_string()]);
        let before = fs::read(folder.path()).unwrap();
        let error = write_new(&folder.path()).unwrap_err();
        assert!(matches!(error, KeyFileError::Exists { .. }), "{error}");
        assert!(error.to_string().contains("a key is never overwritten"), "{error}");
        assert_eq!(fs::read(folder.path()).unwrap(), before);
        // Another one comes before it by hand.
        let mut text = line(&generate().unwrap()).as_bytes().to_vec();
        text.extend(before);
        let both = folder.load(text).unwrap();
        assert_eq!((both.len(), &both[1]), (2, &id.to_string()));
    }
}
