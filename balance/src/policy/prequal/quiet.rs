//! Whether there is any load to avoid: as long as nobody tells of some, there is none.

use crate::Nanos;

/// So many answers in a row have to come from idle destinations: at a load of 0.3 on one worker each,
/// so many are idle once in ten thousand million times.
const ANSWERS: u32 = 64;
/// An estimate below this is what destinations round to nothing.
const NOTHING: Nanos = Nanos::from_millis(1);

/// The answers of idle destinations since the last one of another.
#[derive(Debug, Default)]
pub(super) struct Quiet {
    in_a_row: u32,
}

impl Quiet {
    /// Whether there have been enough.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.in_a_row >= ANSWERS
    }

    /// Takes one more answer; true if it ends the quiet.
    pub(super) fn ends_with(&mut self, idle: bool) -> bool {
        let was_on = self.is_on();
        self.in_a_row = if idle {
            self.in_a_row.saturating_add(1)
        } else {
            0
        };
        was_on && !idle
    }
}

/// Whether an answer shows that there is nothing to wait for at a destination. One that tells no
/// number of requests has to expect that the next one takes no time to speak of.
pub(super) fn is_idle(told: Option<u32>, estimate: Option<Nanos>) -> bool {
    match told {
        Some(in_flight) => in_flight == 0,
        None => estimate.is_some_and(|estimate| estimate < NOTHING),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_many_idle_ones_in_a_row_and_a_single_other_one_ends_it() {
        let mut quiet = Quiet::default();
        let mut tell = |idle: bool, times: usize| {
            let ended = (0..times).filter(|_| quiet.ends_with(idle)).count();
            (quiet.is_on(), ended)
        };
        assert_eq!(tell(true, 63), (false, 0));
        assert_eq!(tell(false, 1), (false, 0), "it had not begun");
        assert_eq!(tell(true, 63), (false, 0));
        assert_eq!(tell(true, 1), (true, 0));
        assert_eq!(tell(true, 1000), (true, 0));
        assert_eq!(tell(false, 2), (false, 1));
        assert_eq!(tell(true, 64), (true, 0));
    }

    #[test]
    fn who_tells_no_number_is_idle_if_a_request_would_take_no_time() {
        let millis = |millis| Some(Nanos::from_millis(millis));
        assert!(is_idle(Some(0), millis(20)) && is_idle(Some(0), None));
        assert!(!is_idle(Some(1), millis(0)));
        assert!(is_idle(None, millis(0)));
        assert!(!is_idle(None, millis(1)) && !is_idle(None, None));
    }
}
