//! A function as the simulation sees it: what it costs and what it answers.

use std::sync::Arc;

use super::requirements::Requirements;

/// What a lambda answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The input of the request.
    CopyInput,
    /// The same text for every request.
    Fixed(Arc<str>),
}

impl Output {
    /// The answer to a request with the given `input`.
    pub fn answer<'a>(&'a self, input: &'a str) -> &'a str {
        match self {
            Output::CopyInput => input,
            Output::Fixed(text) => text,
        }
    }
}

/// A function that a container can serve.
#[derive(Clone, Debug, PartialEq)]
pub struct Lambda {
    /// Name by which requests ask for it.
    pub name: Arc<str>,
    /// What a request costs.
    pub requirements: Requirements,
    /// What a request gets.
    pub output: Output,
}

impl Lambda {
    /// A lambda that answers with its input.
    pub fn copying(name: &str, requirements: Requirements) -> Self {
        Lambda {
            name: name.into(),
            requirements,
            output: Output::CopyInput,
        }
    }

    /// A lambda that always answers `output`.
    pub fn fixed(name: &str, requirements: Requirements, output: &str) -> Self {
        Lambda {
            name: name.into(),
            requirements,
            output: Output::Fixed(output.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANY: Requirements = Requirements::Fixed { ops: 1, memory: 1 };

    #[test]
    fn l4_copy_input_answers_the_input() {
        assert_eq!(Lambda::copying("f", ANY).output.answer("batman"), "batman");
    }

    #[test]
    fn l5_fixed_output_answers_its_text() {
        let lambda = Lambda::fixed("f", ANY, "robin");
        assert_eq!(lambda.output.answer("batman"), "robin");
    }
}
