//! The sockets of services are opened before the first service is started, in a helper: PID 1 makes them, the helper
//! binds what both then share.

use super::{PrepareFailure, PrepareStage, PrepareStep};
use crate::config::source::diagnostic::Span;
use crate::config::{Plan, SocketSpec};
use crate::service::sockets;
use crate::text::gather::Gather as _;
use crate::text::template::fill;
use std::os::fd::OwnedFd;

/// A socket of a plan that is not bound yet.
pub struct UnboundSocket<'p> {
    /// Its place in the plan.
    pub socket: &'p SocketSpec,
    made: Result<OwnedFd, String>,
}

/// Makes the sockets of all services that are to start, each address once.
#[must_use]
pub fn unbound(plan: &Plan) -> Vec<UnboundSocket<'_>> {
    let mut all: Vec<UnboundSocket<'_>> = Vec::new();
    for service in plan.services.iter().filter(|service| service.is_on()) {
        for socket in service.program.sockets() {
            if !all.iter().any(|known| known.socket.listen.is_same_place(&socket.listen)) {
                all.push(UnboundSocket { socket, made: sockets::create(&socket.listen) });
            }
        }
    }
    all
}

/// The steps that bind them.
#[must_use]
pub fn steps<'a>(all: &'a [UnboundSocket<'_>]) -> Vec<PrepareStep<'a>> {
    let step = |(number, one): (usize, &'a UnboundSocket<'_>)| PrepareStep {
        stage: PrepareStage::Sockets,
        at: one.socket.at,
        what: String::new(),
        off: None,
        run: Box::new(move |context| {
            let fd = one.made.as_ref().map_err(Clone::clone);
            let file = fd.and_then(|fd| sockets::bind(fd, &one.socket.listen));
            let file = file.map_err(PrepareFailure::refused)?;
            context.export(&number.to_string(), &sockets::file_text(file));
            Ok(())
        }),
    };
    all.iter().enumerate().map(step).gather()
}

/// Puts the bound sockets into the table; `files` is what the steps have exported.
pub fn keep(all: Vec<UnboundSocket<'_>>, files: &[(String, String)], table: &sockets::SocketTable) {
    for (number, one) in all.into_iter().enumerate() {
        let Ok(fd) = one.made else { continue };
        let number = number.to_string();
        let file = files.iter().find(|(name, _)| *name == number);
        let file = file.and_then(|(_, file)| sockets::read_file(file));
        table.add(one.socket.listen.clone(), fd, file);
    }
}

/// What would be opened, for `--explain`.
#[must_use]
pub fn explain(plan: &Plan, place: &dyn Fn(Span) -> String) -> String {
    let mut text = String::new();
    let mut told: Vec<Span> = Vec::new();
    for service in plan.services.iter().filter(|service| service.is_on()) {
        for socket in service.program.sockets().iter().filter(|socket| !told.contains(&socket.at)).gather() {
            if told.is_empty() {
                text.push_str("sockets:\n");
            }
            told.push(socket.at);
            let kind = if socket.listen.datagram { " (datagrams)" } else { "" };
            let address = socket.listen.address.to_string();
            text.push_str(&fill!(
                "      {}{} for {} ({})\n",
                &address,
                kind,
                service.base(),
                &place(socket.at)
            ));
        }
    }
    text
}
