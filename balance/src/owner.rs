//! Whose a route is: a number, since there may be a million routes of few owners.

/// Who answers for a route: nobody in particular, or one of those whom the broker has numbered.
/// It means nothing to picks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Owner(u8);

impl Owner {
    /// Nobody in particular.
    pub const NOBODY: Owner = Owner(0);
    /// The highest number: they take five bits of a word that has others to hold.
    pub const MAX: u8 = 31;

    /// The one of that number; 0 is nobody. None above [`MAX`](Self::MAX).
    #[must_use]
    pub const fn numbered(number: u8) -> Option<Self> {
        if number <= Self::MAX {
            Some(Owner(number))
        } else {
            None
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }
}
