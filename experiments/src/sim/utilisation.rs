//! How busy an executor has been lately: what its answers report as load.

/// Time constant, in seconds, with which the past fades.
const MEMORY: f64 = 1.0;

/// Share of the time that the workers were busy, as an exponentially fading mean.
#[derive(Debug, Default)]
pub(super) struct Utilisation {
    share: f64,
    /// Nanoseconds.
    at: u64,
}

impl Utilisation {
    /// Takes in that `busy` of all `workers` have been busy since the last call.
    pub(super) fn note(&mut self, busy: usize, workers: usize, now: u64) {
        let elapsed = (now - self.at) as f64 * 1e-9;
        self.at = now;
        let share = busy as f64 / workers as f64;
        self.share = share + (self.share - share) * fading(elapsed / MEMORY);
    }

    /// From 0 to 1, as of the last note.
    pub(super) fn share(&self) -> f32 {
        self.share as f32
    }
}

/// `e^-z`, to single precision: most of it is asked for the time between two requests, which is so
/// short that four terms will do.
fn fading(z: f64) -> f64 {
    if z < 0.03 {
        1.0 - z * (1.0 - z * (0.5 - z / 6.0))
    } else {
        (-z).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_mean_of_what_was_lately() {
        let mut utilisation = Utilisation::default();
        for second in 1..=20 {
            utilisation.note(3, 4, second * 1_000_000_000);
        }
        assert!((utilisation.share() - 0.75).abs() < 1e-6);
        utilisation.note(0, 4, 21_000_000_000);
        assert!((utilisation.share() - 0.75 / std::f32::consts::E).abs() < 1e-6);
    }
}
