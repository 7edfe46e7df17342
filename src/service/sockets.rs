//! The sockets that rinit opens for services and keeps open while they are restarted (`sockets`).
//!
//! One table for all, by address: what several services name is opened once, and an address that a service no longer
//! has may be another's by then. A process gets them from descriptor 3 on, as sd_listen_fds(3) has it.

use crate::cli::LogLevel;
use crate::config::{SocketSettings, SocketSpec};
use crate::diagnosis::unbound::UnboundPort;
use crate::model::listen::{ListenAddress, ListenSpec};
use crate::output;
use crate::sys::Errno;
use crate::sys::net::{self, Protocol, listen};
use crate::sys::process::credentials::{self, Accounts};
use crate::sys::process::procfs;
use crate::text::escape::on_one_line;
use crate::text::template::fill;
use std::cell::RefCell;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};

/// All open sockets.
#[derive(Debug, Default)]
pub struct SocketTable {
    open: RefCell<Vec<OpenSocket>>,
}

#[derive(Debug)]
struct OpenSocket {
    spec: ListenSpec,
    fd: OwnedFd,
    /// Device and inode of its file, where it has one.
    file: Option<(u64, u64)>,
}

impl SocketTable {
    /// Adds a bound socket, in the place of one of the same address.
    pub fn add(&self, spec: ListenSpec, fd: OwnedFd, file: Option<(u64, u64)>) {
        self.close(&spec);
        self.open.borrow_mut().push(OpenSocket { spec, fd, file });
    }

    /// Closes the socket of this address: clients are refused from now on.
    pub fn close(&self, spec: &ListenSpec) {
        self.open.borrow_mut().retain(|socket| !socket.spec.is_same_place(spec));
    }

    /// Closes the sockets that are not wanted; returns whether there were any.
    pub fn retain(&self, is_wanted: &dyn Fn(&ListenSpec) -> bool) -> bool {
        let mut open = self.open.borrow_mut();
        let before = open.len();
        open.retain(|socket| is_wanted(&socket.spec));
        open.len() < before
    }

    /// Returns the descriptor of this address.
    #[must_use]
    pub fn raw_fd(&self, spec: &ListenSpec) -> Option<RawFd> {
        let open = self.open.borrow();
        open.iter().find(|socket| socket.spec.is_same_place(spec)).map(|socket| socket.fd.as_raw_fd())
    }

    /// Returns whether this descriptor is one of them.
    #[must_use]
    pub fn holds(&self, fd: RawFd) -> bool {
        self.open.borrow().iter().any(|socket| socket.fd.as_raw_fd() == fd)
    }

    /// Returns the descriptors of a service's sockets, with the name of each; `None`: one is not open.
    #[must_use]
    pub fn named(&self, settings: &SocketSettings) -> Option<Vec<(String, RawFd)>> {
        let named = |socket: &SocketSpec| Some((socket.name.clone(), self.raw_fd(&socket.listen)?));
        settings.sockets.iter().map(named).collect()
    }

    /// Returns whether any of a service's sockets has a file, which may be removed.
    #[must_use]
    pub fn has_files(&self, settings: &SocketSettings) -> bool {
        settings.sockets.iter().any(|socket| matches!(socket.listen.address, ListenAddress::Path(_)))
    }

    /// Returns those of a service's sockets that are not open, or may have lost their files.
    #[must_use]
    pub fn rebindings(&self, settings: &SocketSettings) -> Vec<Rebinding> {
        let open = self.open.borrow();
        let mut all = Vec::new();
        for socket in &settings.sockets {
            let spec = &socket.listen;
            let known = open.iter().find(|known| known.spec.is_same_place(spec));
            if known.is_none() || matches!(spec.address, ListenAddress::Path(_)) {
                let file = known.and_then(|known| known.file);
                all.push(Rebinding {
                    spec: spec.clone(),
                    made: create(spec),
                    file,
                    was_open: known.is_some(),
                });
            }
        }
        all
    }

    /// Makes a service's sockets blocking, as they were made: its last run may have changed that, for all who have them.
    pub fn be_blocking(&self, settings: &SocketSettings) {
        let open = self.open.borrow();
        let is_its =
            |socket: &&OpenSocket| settings.sockets.iter().any(|one| one.listen.is_same_place(&socket.spec));
        open.iter().filter(is_its).for_each(|socket| listen::be_blocking(&socket.fd));
    }
}

/// A socket that is bound (again), where it is not in its place.
#[derive(Debug)]
pub struct Rebinding {
    spec: ListenSpec,
    made: Result<OwnedFd, String>,
    /// The file that it has if it is in its place.
    file: Option<(u64, u64)>,
    was_open: bool,
}

/// What came of it.
#[derive(Debug)]
pub enum BoundSocket {
    /// It was in its place.
    InPlace,
    /// It is this one now.
    New(ListenSpec, OwnedFd, Option<(u64, u64)>),
}

impl Rebinding {
    /// Returns whether it was open before.
    #[must_use]
    pub fn was_open(&self) -> bool {
        self.was_open
    }

    /// Binds it, in a helper. Adds one line for [`Self::result`].
    pub fn run(&self, found: &mut Vec<u8>) {
        let in_place = match (&self.spec.address, self.file) {
            (ListenAddress::Path(path), Some(file)) => listen::identity(path) == Some(file),
            _ => self.was_open,
        };
        if !in_place {
            let bound = self.made.as_ref().map_err(Clone::clone).and_then(|fd| bind(fd, &self.spec));
            let line = match bound {
                Ok(file) => ["+", &file_text(file)].concat(),
                Err(why) => ["!", &on_one_line(&why)].concat(),
            };
            found.extend_from_slice(line.as_bytes());
        }
        found.push(b'\n');
    }

    /// Reads what the helper has written of it.
    pub fn result(self, line: Option<&str>) -> Result<BoundSocket, String> {
        let Some(line) = line else { return Err("the process that binds its sockets has died".into()) };
        match (line.strip_prefix('+'), line.strip_prefix('!'), self.made) {
            (Some(file), _, Ok(fd)) => Ok(BoundSocket::New(self.spec, fd, read_file(file))),
            (_, Some(why), _) => Err(why.to_string()),
            _ => Ok(BoundSocket::InPlace),
        }
    }
}

/// Device and inode of a file, as text.
#[must_use]
pub fn file_text(file: Option<(u64, u64)>) -> String {
    file.map_or_else(String::new, |(device, inode)| fill!("{} {}", &device.to_string(), &inode.to_string()))
}

/// Reads what [`file_text`] has written.
#[must_use]
pub fn read_file(text: &str) -> Option<(u64, u64)> {
    let (device, inode) = text.split_once(' ')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// Makes a socket, not bound yet. The error is one line.
pub fn create(spec: &ListenSpec) -> Result<OwnedFd, String> {
    listen::socket(spec).map_err(|errno| why_unbound(spec, errno))
}

/// Binds a socket that [`create`] has made, and listens. In a helper: a path may be on a file system that does not
/// answer. Returns device and inode of its file, if it has one; the error is one line.
pub fn bind(fd: &OwnedFd, spec: &ListenSpec) -> Result<Option<(u64, u64)>, String> {
    let file = listen::bind(fd, spec).map_err(|errno| why_unbound(spec, errno))?;
    if let ListenAddress::Path(path) = &spec.address
        && (spec.owner.is_some() || spec.group.is_some())
    {
        let accounts = Accounts::read();
        let id = |name: Option<&String>, find: &dyn Fn(&str) -> Option<u32>, what: &str| {
            let Some(name) = name else { return Ok(None) };
            find(name).map(Some).ok_or_else(|| {
                fill!("no {} \"{}\"; add it to the image (adduser, addgroup), or use a number", what, name)
            })
        };
        let uid = id(spec.owner.as_ref(), &|name| accounts.uid(name), "user")?;
        let gid = id(spec.group.as_ref(), &|name| accounts.gid(name), "group")?;
        match listen::give(path, uid, gid) {
            Ok(()) => {}
            // As `user`: one file serves root and any other.
            Err(Errno::EPERM) if credentials::current().uid != 0 => {
                let text = fill!("rinit is not root: {} stays its own, whatever owner and group say", path);
                output::line(LogLevel::Info, "", &text);
            }
            Err(errno) => {
                let why = crate::sys::describe(errno);
                return Err(fill!(
                    "{} cannot be given to its owner ({}); drop owner and group, or docker run --cap-add CHOWN",
                    path,
                    why
                ));
            }
        }
    }
    Ok(file)
}

#[cold]
fn why_unbound(spec: &ListenSpec, errno: Errno) -> String {
    let place = spec.address.to_string();
    let (found, remedy) = match spec.address {
        ListenAddress::Inet(_) | ListenAddress::Port(_) => {
            let protocol = if spec.datagram { Protocol::Udp } else { Protocol::Tcp };
            let in_the_way = |at: SocketAddr| {
                let clash = |own: SocketAddr| {
                    own.port() == at.port()
                        && (own.ip() == at.ip() || own.ip().is_unspecified() || at.ip().is_unspecified())
                };
                spec.address.inet().any(clash)
            };
            let unbound = UnboundPort {
                place: &place,
                errno,
                holder: &|| procfs::holder(protocol, &in_the_way),
                uid: credentials::current().uid,
                lowest: &net::unprivileged_port_start,
            };
            unbound.told()
        }
        ListenAddress::Path(_) | ListenAddress::Abstract(_) => {
            let (found, remedy) = match errno {
                Errno::EADDRINUSE => (
                    "somebody listens there, or it is no socket",
                    "stop that, remove the file, or use another path",
                ),
                Errno::ENOENT | Errno::ENOTDIR => {
                    ("its directory does not exist", "make it: [checks.dir.\"DIRECTORY\"] ensure = true")
                }
                Errno::EROFS => {
                    ("its file system is read-only", "use a path on a volume or tmpfs, or \"@NAME\"")
                }
                errno => (crate::sys::describe(errno), "use another path"),
            };
            (fill!("{}: {}", &place, found), remedy.to_string())
        }
    };
    fill!("{}; {}", &found, &remedy)
}
