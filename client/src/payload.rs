//! What requests carry: texts of given sizes, or always the same content.

use rand::RngExt as _;
use rand_pcg::Pcg64;

/// Bytes around the value of the JSON object that makes up an input.
pub const OVERHEAD_BYTES: usize = r#"{"input":""}"#.len();

/// An input of exactly `bytes` bytes: the JSON object `{"input":"AAA…"}`, or,
/// where that does not fit (below [`OVERHEAD_BYTES`]), the letter A that many
/// times. The C++ reference cannot go below 12 bytes.
pub fn of_size(bytes: usize) -> String {
    match bytes.checked_sub(OVERHEAD_BYTES) {
        Some(letters) => format!(r#"{{"input":"{}"}}"#, "A".repeat(letters)),
        None => "A".repeat(bytes),
    }
}

/// The inputs that a run draws from.
#[derive(Debug, Clone)]
pub(crate) struct Payloads {
    inputs: Vec<String>,
}

impl Payloads {
    /// The one given content, or one input per size; a size that is listed
    /// twice is drawn twice as often.
    pub(crate) fn new(content: Option<&str>, sizes: &[usize]) -> Self {
        let inputs = match content {
            Some(content) => vec![content.to_owned()],
            None => sizes.iter().map(|&bytes| of_size(bytes)).collect(),
        };
        Self { inputs }
    }

    /// Draws one.
    pub(crate) fn draw(&self, random: &mut Pcg64) -> &str {
        match self.inputs.as_slice() {
            [only] => only,
            inputs => &inputs[random.random_range(0..inputs.len())],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Variable, generator};

    #[test]
    fn inputs_have_exactly_the_size_asked_for() {
        for bytes in [0, 1, 11, 12, 13, 100, 10_000] {
            assert_eq!(of_size(bytes).len(), bytes);
        }
        assert_eq!(of_size(0), "");
        assert_eq!(of_size(11), "AAAAAAAAAAA");
        assert_eq!(of_size(12), r#"{"input":""}"#);
        assert_eq!(of_size(15), r#"{"input":"AAA"}"#);
    }

    #[test]
    fn fixed_content_replaces_the_sizes() {
        let payloads = Payloads::new(Some("hello"), &[100]);
        let mut random = generator(0, 0, Variable::Size);
        assert_eq!(payloads.draw(&mut random), "hello");
    }

    #[test]
    fn repeated_sizes_are_drawn_more_often_and_repeat_with_the_seed() {
        let payloads = Payloads::new(None, &[20, 20, 20, 40]);
        let draw = |seed| -> Vec<usize> {
            let mut random = generator(seed, 0, Variable::Size);
            (0..4000)
                .map(|_| payloads.draw(&mut random).len())
                .collect()
        };
        let small = draw(1).iter().filter(|&&bytes| bytes == 20).count();
        assert!((2800..3200).contains(&small), "{small} of 4000");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }
}
