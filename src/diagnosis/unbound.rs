//! Explains why an address could not be bound: who has it, what it would take, what to do.

use crate::model::Pid;
use crate::sys::Errno;
use crate::text::template::fill;

/// What is known of a failed bind(2) of a port.
pub struct UnboundPort<'a> {
    /// The address as it is told: `0.0.0.0:80`, `port 80`.
    pub place: &'a str,
    /// Why it failed.
    pub errno: Errno,
    /// Returns who has it, if that can be seen.
    pub holder: &'a dyn Fn() -> Option<(String, Pid)>,
    /// The user who tried.
    pub uid: u32,
    /// Returns the lowest port that needs no privilege.
    pub lowest: &'a dyn Fn() -> u16,
}

impl UnboundPort<'_> {
    /// Returns what was found, and what to do.
    #[must_use]
    pub fn told(&self) -> (String, String) {
        let place = self.place;
        match self.errno {
            Errno::EADDRINUSE => {
                // One that is not in this PID namespace, or is another user's, is not told.
                let by = (self.holder)();
                let (by, what) = match &by {
                    Some((name, pid)) => (fill!("{} (pid {})", name, &pid.to_string()), name.as_str()),
                    None => ("another process".into(), "what listens"),
                };
                let remedy =
                    fill!("stop {} on {} in this network namespace, or use another port", what, place);
                (fill!("{} taken by {}", place, &by), remedy)
            }
            Errno::EACCES => {
                let start = (self.lowest)().to_string();
                // What --cap-add gives, root alone has.
                let may = if self.uid == 0 {
                    "docker run --cap-add NET_BIND_SERVICE"
                } else {
                    "docker run --sysctl net.ipv4.ip_unprivileged_port_start=0"
                };
                let found = fill!(
                    "{} refused to uid {}: below net.ipv4.ip_unprivileged_port_start = {} and without CAP_NET_BIND_SERVICE",
                    place,
                    &self.uid.to_string(),
                    &start
                );
                let remedy = fill!("use a port of {} or more, or {}", &start, may);
                (found, remedy)
            }
            Errno::EADDRNOTAVAIL => {
                let remedy = "correct address, or connect the container to that network";
                (fill!("{}, whose address no interface has", place), remedy.into())
            }
            errno => {
                let remedy = "use another port";
                (fill!("{} refused: {}", place, crate::sys::describe(errno)), remedy.into())
            }
        }
    }
}
