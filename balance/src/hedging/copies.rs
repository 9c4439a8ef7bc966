//! How much of the work of copies may be in vain.

/// What copies may cost yet, in thousandths of the time after which copies are sent: at most 16 times
/// that, and as much can be owed.
///
/// Each request adds two, and a copy is sent while there are a thousand, which it takes. If it was in
/// vain, it costs what it took to execute, more or less; if it helped, twice a thousand come back, so
/// that where copies help their number is soon not limited any more. So what is executed in vain is, for
/// each request, 1/500 of the time after which copies are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Credit(i16);

/// What a copy takes when it is sent.
const COPY: i16 = 1_000;
/// What a request adds.
const REQUEST: i16 = 2;

impl Credit {
    /// As much as there can be.
    pub(super) const FULL: Credit = Credit(16 * COPY);

    pub(super) const fn from_word(word: u16) -> Credit {
        Credit(word.cast_signed())
    }

    pub(super) const fn word(self) -> u16 {
        self.0.cast_unsigned()
    }

    /// One more request that may be copied.
    pub(super) fn request(self) -> Credit {
        self.more(REQUEST)
    }

    /// What is left after another copy, if that can be afforded.
    pub(super) fn copy(self) -> Option<Credit> {
        (self.0 >= COPY).then(|| Credit(self.0 - COPY))
    }

    /// What is left, or owed, after another copy.
    pub(super) fn copy_anyway(self) -> Credit {
        self.more(-COPY)
    }

    /// A copy was executed in vain for a time, in multiples of the one after which it was sent.
    pub(super) fn in_vain(self, executed: f32) -> Credit {
        // What is not finite saturates, or is nothing.
        self.more(((1.0 - executed) * f32::from(COPY)) as i16)
    }

    /// A copy helped.
    pub(super) fn helped(self) -> Credit {
        self.more(2 * COPY)
    }

    fn more(self, thousandths: i16) -> Credit {
        let most = Self::FULL.0;
        Credit(self.0.saturating_add(thousandths).clamp(-most, most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_executed_in_vain_is_a_share_of_all() {
        for executed in [0.1, 1.0, 7.0] {
            let (mut credit, mut total) = (Credit::FULL, 0.0);
            const REQUESTS: i16 = 30_000;
            for _ in 0..REQUESTS {
                credit = credit.request();
                if let Some(left) = credit.copy() {
                    credit = left.in_vain(executed);
                    total += executed;
                }
            }
            let most = f32::from(REQUEST) / f32::from(COPY) * f32::from(REQUESTS) + 16.0;
            assert!(total < most + executed, "{executed}: {total}");
            assert!(total > 0.8 * most, "{executed}: {total}");
        }
    }

    #[test]
    fn what_a_copy_did_not_execute_comes_back() {
        let left = Credit(COPY).copy().unwrap();
        assert_eq!(left.in_vain(0.25), Credit(750));
        assert_eq!(left.in_vain(3.0), Credit(-2 * COPY));
        assert_eq!(Credit::FULL.in_vain(0.0), Credit::FULL);
    }

    #[test]
    fn absurd_times_leave_a_credit_that_can_be_earned() {
        for executed in [f32::INFINITY, 1e9, f32::NAN] {
            let mut credit = Credit::FULL;
            for _ in 0..100 {
                credit = credit.in_vain(executed);
            }
            for _ in 0..17_000 / i32::from(REQUEST) {
                assert_eq!(Credit::from_word(credit.word()), credit);
                credit = credit.request();
            }
            assert!(credit.copy().is_some(), "{executed}");
        }
    }

    #[test]
    fn copies_that_help_double() {
        let (mut credit, mut rounds) = (Credit(COPY), 0);
        while credit != Credit::FULL {
            let mut copies = 0;
            while let Some(left) = credit.copy() {
                (credit, copies) = (left, copies + 1);
            }
            credit = (0..copies).fold(credit, |credit, _| credit.helped());
            rounds += 1;
        }
        assert_eq!(rounds, 4);
    }
}
