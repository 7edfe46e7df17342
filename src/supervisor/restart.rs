//! The restart decision: policy, end and attempts in, next step out.

use super::event::Next;
use crate::model::{ExitStatus, Restart, RestartPolicy, ServicePolicy, ServiceType};
use std::time::Duration;

/// How a process ended, as the restart policy sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct RestartVerdict {
    /// Whether it counts as success.
    pub(super) success: bool,
    /// The exit status, if the process ended by itself: `never_on` and `always_on` apply to ends that the program
    /// chose, not to those caused by rinit.
    pub(super) outcome: Option<ExitStatus>,
}

/// Decides what follows an end that nobody asked for.
pub(super) fn decide(
    rules: &ServicePolicy,
    verdict: RestartVerdict,
    attempts: u32,
    random: &mut Random,
) -> Next {
    let policy = &rules.restart;
    let good_enough = if verdict.success { Next::Done } else { Next::Failed };
    if !wants_restart(rules, verdict) || policy.max_attempts == Some(0) {
        return good_enough;
    }
    if policy.max_attempts.is_some_and(|most| attempts >= most) {
        return Next::GivenUp { attempts };
    }
    let attempt = attempts.saturating_add(1);
    Next::Restarting { delay: delay(policy, attempt, random), attempt, of: policy.max_attempts }
}

fn wants_restart(rules: &ServicePolicy, verdict: RestartVerdict) -> bool {
    let policy = &rules.restart;
    let listed = |list: &[ExitStatus]| verdict.outcome.is_some_and(|outcome| list.contains(&outcome));
    if rules.kind == ServiceType::Oneshot && verdict.success {
        return false; // Its work is done; doing it again is what a schedule is for.
    }
    if listed(&policy.never_on) {
        return false;
    }
    listed(&policy.always_on)
        || match policy.when {
            Restart::No => false,
            Restart::OnFailure => !verdict.success,
            Restart::Always | Restart::UnlessStopped => true,
        }
}

/// Returns the delay before restart `attempt`, counted from 1.
pub(super) fn delay(policy: &RestartPolicy, attempt: u32, random: &mut Random) -> Duration {
    if policy.delay.is_zero() {
        return Duration::ZERO; // Nothing times infinity is not a number.
    }
    let exponent = i32::try_from(attempt.saturating_sub(1)).unwrap_or(i32::MAX);
    let mut share = policy.factor.max(1.0).powi(exponent);
    if policy.jitter > 0.0 {
        share *= 1.0 + policy.jitter.min(0.5) * (2.0 * random.share() - 1.0);
    }
    scaled(policy.delay, share).min(policy.max_delay)
}

/// Multiplies `span` by `share`; saturates on overflow.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "saturates"
)]
pub(super) fn scaled(span: Duration, share: f64) -> Duration {
    Duration::from_nanos((span.as_nanos() as f64 * share) as u64)
}

/// xorshift64*: enough jitter to keep restarts from running in step, and reproducible from the seed.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        // Zero is the only state that xorshift never leaves.
        Self(if seed == 0 { 0x9E37_79B9_7F4A_7C15 } else { seed })
    }

    /// Returns a time shorter than this one.
    pub(super) fn below(&mut self, span: Duration) -> Duration {
        if span.is_zero() { span } else { scaled(span, self.share()) }
    }

    /// Returns a number in [0, 1).
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11;
        bits as f64 / (1_u64 << 53) as f64
    }
}
