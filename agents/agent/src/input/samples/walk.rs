//! Looks at everything below a folder without being led elsewhere: each step is taken from the folder that is open, and
//! links are not followed. Only regular files are shown, and nothing is opened to find out which they are.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, fstatat};
use nix::sys::statfs::fstatfs;
use tracing::debug;

use super::config::{RootAt, Selection};

/// Folders below each other.
const DEPTH_MAX: usize = 64;
/// Folders that are known and not looked into yet. More are left out, and counted.
const WAITING_MAX: usize = 100_000;

/// File systems that are not entered from outside, because they hold no files of this host: those of the kernel, and
/// those of other machines. Source: statfs(2).
const FOREIGN: &[u32] = &[
    0x0000_9fa0, // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0x6265_6570, // configfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x0000_1cd1, // devpts
    0x1980_0202, // mqueue
    0x9584_58f6, // hugetlbfs
    0xcafe_4a11, // bpf
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x4249_4e4d, // binfmt_misc
    0x6573_5543, // fusectl
    0x0000_0187, // autofs
    0x0000_6969, // NFS
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2
    0x6573_5546, // FUSE
    0x00c3_6400, // Ceph
    0x0102_1997, // 9P
    0x5346_414f, // AFS
];

/// A regular file where it was found.
pub(super) struct Found<'a> {
    /// Its folder, open.
    pub(super) folder: &'a Dir,
    pub(super) name: &'a CStr,
    pub(super) path: &'a Path,
    pub(super) stat: &'a FileStat,
}

/// What a walk could not look at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Missed {
    /// Folders that may not be read.
    pub(super) unreadable: u64,
    /// Folders that are too deep or too many.
    pub(super) beyond_limits: u64,
}

/// Whether to go on.
pub(super) type Flow = std::ops::ControlFlow<()>;

/// Shows every regular file of a root that the selection takes. A root that is not there has none.
pub(super) fn walk(
    root: &RootAt,
    selection: &Selection,
    missed: &mut Missed,
    visit: &mut dyn FnMut(&Found<'_>) -> Flow,
) -> Flow {
    let shown = root.path();
    let parent = shown.parent().zip(shown.file_name());
    let opened = open_root(root);
    let folder = match opened {
        Ok(folder) => folder,
        // A file that is named itself.
        Err(Errno::ENOTDIR) => match parent {
            Some((folder, name)) => return named(root, folder, name, selection, missed, visit),
            None => return Flow::Continue(()),
        },
        Err(error) => {
            note(error, &shown, missed);
            return Flow::Continue(());
        }
    };
    let Ok(device) = fstat(&folder).map(|stat| stat.st_dev) else { return Flow::Continue(()) };
    let mut waiting: Vec<(PathBuf, usize)> = vec![(PathBuf::new(), 0)];
    while let Some((below, depth)) = waiting.pop() {
        let here = if below.as_os_str().is_empty() { shown.clone() } else { shown.join(&below) };
        let mut dir = match open_below(&folder, &below, OFlag::O_DIRECTORY).and_then(Dir::from_fd) {
            Ok(dir) => dir,
            Err(error) => {
                note(error, &here, missed);
                continue;
            }
        };
        if is_foreign(&dir, device) {
            debug!(path = %here.display(), "another kind of file system is not entered");
            continue;
        }
        let flow = read(&mut dir, &mut |dir, name, kind| {
            let path = here.join(OsStr::from_bytes(name.to_bytes()));
            let maybe_folder = matches!(kind, None | Some(Type::Directory));
            if maybe_folder && selection.excludes(&path) {
                return Flow::Continue(());
            }
            let stat = match fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
                Ok(stat) => stat,
                Err(error) => {
                    note(error, &path, missed);
                    return Flow::Continue(());
                }
            };
            match SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT {
                SFlag::S_IFDIR if depth >= DEPTH_MAX || waiting.len() >= WAITING_MAX => missed.beyond_limits += 1,
                SFlag::S_IFDIR => waiting.push((below.join(OsStr::from_bytes(name.to_bytes())), depth + 1)),
                SFlag::S_IFREG if selection.takes_file(&path) => {
                    return visit(&Found { folder: dir, name, path: &path, stat: &stat });
                }
                _ => (),
            }
            Flow::Continue(())
        });
        match flow {
            Ok(Flow::Break(())) => return Flow::Break(()),
            Ok(Flow::Continue(())) => (),
            Err(error) => note(error, &here, missed),
        }
    }
    Flow::Continue(())
}

/// Shows each name in a folder but those of itself and its parent.
fn read(dir: &mut Dir, each: &mut dyn FnMut(&Dir, &CStr, Option<Type>) -> Flow) -> Result<Flow, Errno> {
    // The names borrow the folder, and looking at a file needs it too.
    let again = Dir::openat(&*dir, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())?;
    for entry in dir.iter() {
        let entry = entry?;
        let name = entry.file_name();
        if !matches!(name.to_bytes(), b"." | b"..") && each(&again, name, entry.file_type()).is_break() {
            return Ok(Flow::Break(()));
        }
    }
    Ok(Flow::Continue(()))
}

fn named(
    root: &RootAt,
    folder: &Path,
    name: &OsStr,
    selection: &Selection,
    missed: &mut Missed,
    visit: &mut dyn FnMut(&Found<'_>) -> Flow,
) -> Flow {
    let path = folder.join(name);
    let up = match root.below.parent() {
        Some(below) => RootAt { base: root.base.clone(), below: below.to_owned() },
        None => RootAt { base: folder.to_owned(), below: PathBuf::new() },
    };
    let mut bytes = name.as_bytes().to_vec();
    bytes.push(0);
    let (Ok(name), Ok(dir)) = (CStr::from_bytes_with_nul(&bytes), open_root(&up).and_then(Dir::from_fd)) else {
        return Flow::Continue(());
    };
    match fstatat(&dir, name, AtFlags::AT_SYMLINK_NOFOLLOW) {
        Ok(stat) if is_regular(&stat) && selection.takes_file(&path) => {
            visit(&Found { folder: &dir, name, path: &path, stat: &stat })
        }
        Ok(_) => Flow::Continue(()),
        Err(error) => {
            note(error, &path, missed);
            Flow::Continue(())
        }
    }
}

/// Opens the file that was found. Never waits, and refuses what is no regular file by now.
pub(super) fn open_found(found: &Found<'_>) -> io::Result<File> {
    open_at(found.folder, found.name)
}

/// Opens a file of a root again, with the same care.
pub(super) fn open_again(root: &RootAt, path: &Path) -> io::Result<File> {
    let shown = root.path();
    let below = path.strip_prefix(&shown).unwrap_or(Path::new(""));
    // A file that is named itself is below its folder.
    let (root, below) = match (below.as_os_str().is_empty(), root.below.parent(), path.parent().zip(path.file_name())) {
        (true, Some(up), Some((_, name))) => {
            (RootAt { base: root.base.clone(), below: up.to_owned() }, PathBuf::from(name))
        }
        (true, None, Some((folder, name))) => (RootAt { base: folder.to_owned(), below: PathBuf::new() }, name.into()),
        _ => (root.clone(), below.to_owned()),
    };
    let folder = open_root(&root)?;
    let name = below.file_name().ok_or(Errno::ENOENT)?;
    let folder = open_below(&folder, below.parent().unwrap_or(Path::new("")), OFlag::O_DIRECTORY)?;
    open_at(&folder, name)
}

fn open_at<N: nix::NixPath + ?Sized>(folder: impl AsFd, name: &N) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let file = File::from(openat(folder, name, flags, Mode::empty())?);
    if fstat(&file).is_ok_and(|stat| is_regular(&stat)) {
        Ok(file)
    } else {
        Err(io::Error::other("not a regular file"))
    }
}

fn open_root(root: &RootAt) -> Result<OwnedFd, Errno> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let base = nix::fcntl::open(&root.base, flags, Mode::empty())?;
    open_below(&base, &root.below, OFlag::O_DIRECTORY)
}

/// Goes down name by name, so that no link is followed anywhere on the way.
fn open_below(folder: &OwnedFd, below: &Path, last: OFlag) -> Result<OwnedFd, Errno> {
    let careful = OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let mut parts = below.components().peekable();
    let mut at: Option<OwnedFd> = None;
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::EINVAL) };
        let flags = if parts.peek().is_some() { OFlag::O_PATH | OFlag::O_DIRECTORY } else { OFlag::O_RDONLY | last };
        let from = at.as_ref().unwrap_or(folder);
        at = Some(openat(from, name, flags | careful, Mode::empty())?);
    }
    match at {
        Some(found) => Ok(found),
        None => openat(folder, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()),
    }
}

fn is_regular(stat: &FileStat) -> bool {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG
}

/// Whether a folder is on another file system than the root, and one that is not entered.
fn is_foreign(dir: &Dir, device: u64) -> bool {
    let elsewhere = fstat(dir).is_ok_and(|stat| stat.st_dev != device);
    elsewhere
        && fstatfs(dir).is_ok_and(|system| {
            // The kernel's numbers have 32 bits, whatever the type is on this machine.
            FOREIGN.contains(&(system.filesystem_type().0 as u32))
        })
}

fn note(error: Errno, path: &Path, missed: &mut Missed) {
    match error {
        // It went away, or is a link by now.
        Errno::ENOENT | Errno::ELOOP | Errno::ENOTDIR => (),
        error => {
            debug!(path = %path.display(), %error, "a folder or file cannot be looked at");
            missed.unreadable += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::super::config::TreeConfig;
    use super::*;

    fn tree(text: &str) -> TreeConfig {
        toml::from_str(text).unwrap()
    }

    /// The files that are found, from the end of their paths.
    fn found(tree: &TreeConfig) -> Vec<String> {
        let (mut names, mut missed) = (Vec::new(), Missed::default());
        for root in tree.roots() {
            let flow = walk(&root, &tree.selection(), &mut missed, &mut |found| {
                let mut text = String::new();
                open_found(found).unwrap().read_to_string(&mut text).unwrap();
                let mut again = String::new();
                open_again(&root, found.path).unwrap().read_to_string(&mut again).unwrap();
                assert_eq!(text, again);
                names.push(text);
                Flow::Continue(())
            });
            assert!(flow.is_continue());
        }
        assert_eq!(missed, Missed::default());
        names.sort();
        names
    }

    /// A folder with files that hold their own names, links to a secret, a pipe and a socket.
    fn scene() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for folder in ["web/a/b", "web/cache", "users/x", "users/y", "secret"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        for name in ["web/1", "web/a/2", "web/a/b/3", "web/cache/4", "users/x/5", "secret/6"] {
            fs::write(at(name), name).unwrap();
        }
        symlink(at("secret"), at("web/a/folder")).unwrap();
        symlink(at("secret/6"), at("web/file")).unwrap();
        symlink(at("secret"), at("users/y/web")).unwrap();
        fs::create_dir(at("users/x/web")).unwrap();
        fs::write(at("users/x/web/7"), "users/x/web/7").unwrap();
        nix::unistd::mkfifo(&at("web/pipe"), Mode::S_IRWXU).unwrap();
        std::os::unix::net::UnixListener::bind(at("web/socket")).unwrap();
        symlink(at("web"), at("link")).unwrap();
        dir
    }

    #[test]
    fn links_and_what_is_no_file_are_passed_over() {
        let dir = scene();
        let base = dir.path().display();
        for (text, expected) in [
            (format!("path = [\"{base}/web\"]"), vec!["web/1", "web/a/2", "web/a/b/3", "web/cache/4"]),
            (format!("path = [\"{base}/web\"]\nexclude = [\"cache\"]"), vec!["web/1", "web/a/2", "web/a/b/3"]),
            (format!("path = [\"{base}/web\"]\nexclude = [\"{base}/web/a/**\"]"), vec!["web/1", "web/cache/4"]),
            // A link that somebody wrote out is meant; one that a user of the host put there is not.
            (format!("path = [\"{base}/link/a\"]"), vec!["web/a/2", "web/a/b/3"]),
            (format!("path = [\"{base}/users/*/web\"]"), vec!["users/x/web/7"]),
            (format!("path = [\"{base}/web/1\", \"{base}/users/?/5\"]"), vec!["users/x/5", "web/1"]),
            (format!("path = [\"{base}/web/pipe\", \"{base}/web/file\", \"{base}/nothing\"]"), vec![]),
        ] {
            assert_eq!(found(&tree(&text)), expected, "{text}");
        }
    }

    #[test]
    fn a_file_that_became_a_link_or_a_pipe_is_not_opened() {
        let dir = scene();
        let root = RootAt { base: dir.path().join("web"), below: PathBuf::new() };
        let path = dir.path().join("web/a/2");
        assert!(open_again(&root, &path).is_ok());
        fs::remove_file(&path).unwrap();
        symlink(dir.path().join("secret/6"), &path).unwrap();
        assert!(open_again(&root, &path).is_err());
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, Mode::S_IRWXU).unwrap();
        assert!(open_again(&root, &path).is_err()); // at once, though nobody writes to the pipe
        // A folder on the way.
        fs::rename(dir.path().join("web/a"), dir.path().join("web/gone")).unwrap();
        symlink(dir.path().join("web/gone"), dir.path().join("web/a")).unwrap();
        assert!(open_again(&root, &dir.path().join("web/a/b/3")).is_err());
    }
}
