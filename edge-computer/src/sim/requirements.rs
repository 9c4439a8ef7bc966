//! What one request asks of a processor: operations and memory, from the size of its input.

/// What one task needs: operations to execute and bytes of memory held while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Demand {
    /// Operations; may be 0.
    pub ops: u64,
    /// Bytes of memory; may be 0.
    pub memory: u64,
}

/// How the needs of a request follow from the length of its input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Requirements {
    /// Linear in the length of the input, rounded to the nearest integer and never below 0.
    ///
    /// Coefficients are `f32` and their product with the length is rounded to `f32` before the
    /// offset is added in `f64`, so that results equal those of the C++ reference to the last
    /// operation.
    Proportional {
        /// Operations per byte.
        op_coeff: f32,
        /// Operations of an empty input.
        op_offset: f32,
        /// Bytes of memory per byte.
        mem_coeff: f32,
        /// Bytes of memory of an empty input.
        mem_offset: f32,
    },
    /// The same for every request.
    Fixed {
        /// Operations.
        ops: u64,
        /// Bytes of memory.
        memory: u64,
    },
}

impl Requirements {
    /// The needs of a request with `input_bytes` bytes of input; saturates at `u64::MAX`.
    pub fn demand(&self, input_bytes: usize) -> Demand {
        match *self {
            Requirements::Proportional {
                op_coeff,
                op_offset,
                mem_coeff,
                mem_offset,
            } => Demand {
                ops: linear(op_coeff, op_offset, input_bytes),
                memory: linear(mem_coeff, mem_offset, input_bytes),
            },
            Requirements::Fixed { ops, memory } => Demand { ops, memory },
        }
    }
}

fn linear(coeff: f32, offset: f32, bytes: usize) -> u64 {
    let product = coeff * bytes as f32;
    (0.5 + f64::from(offset) + f64::from(product)).max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: Requirements = Requirements::Proportional {
        op_coeff: 1.0,
        op_offset: -100.0,
        mem_coeff: 2.0,
        mem_offset: -200.0,
    };

    #[test]
    fn l1_proportional_needs_follow_the_input() {
        let expected = Demand {
            ops: 900,
            memory: 1800,
        };
        assert_eq!(SAMPLE.demand(1000), expected);
    }

    #[test]
    fn l2_proportional_needs_are_never_negative() {
        assert_eq!(SAMPLE.demand(100), Demand { ops: 0, memory: 0 });
        assert_eq!(SAMPLE.demand(0), Demand { ops: 0, memory: 0 });
    }

    #[test]
    fn l3_fixed_needs_ignore_the_input() {
        let fixed = Requirements::Fixed { ops: 1, memory: 2 };
        assert_eq!(fixed.demand(0), Demand { ops: 1, memory: 2 });
        assert_eq!(fixed.demand(1_000_000), Demand { ops: 1, memory: 2 });
    }

    #[test]
    fn the_product_is_rounded_to_single_precision() {
        let steep = Requirements::Proportional {
            op_coeff: 1.0,
            op_offset: 0.0,
            mem_coeff: 0.0,
            mem_offset: 16_777_216.0,
        };
        // 2^24 + 1 has no single-precision neighbour closer than 2^24; the offset is added later,
        // in double precision, and loses nothing.
        let demand = steep.demand(16_777_217);
        assert_eq!(demand.ops, 16_777_216);
        assert_eq!(demand.memory, 16_777_216);
    }

    #[test]
    fn needs_beyond_counting_saturate() {
        let huge = Requirements::Proportional {
            op_coeff: f32::MAX,
            op_offset: f32::MAX,
            mem_coeff: f32::MAX,
            mem_offset: f32::MIN,
        };
        let demand = huge.demand(1 << 20);
        assert_eq!(demand.ops, u64::MAX);
        assert_eq!(demand.memory, u64::MAX);
    }
}
