//! Messages of which a field that repeats is counted while it is decoded: one that says nothing takes two
//! bytes of a message, and forty times as much memory.

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

use crate::rpc::{ComputerInfo, ForwardingTable};

/// A message with a field that repeats.
pub trait Repeats: Message + Default {
    /// The number of that field.
    const FIELD: u32;

    /// How often it is there.
    fn count(&self) -> usize;
}

impl Repeats for ComputerInfo {
    const FIELD: u32 = 2;

    fn count(&self) -> usize {
        self.containers.len()
    }
}

impl Repeats for ForwardingTable {
    const FIELD: u32 = 1;

    fn count(&self) -> usize {
        self.entries.len()
    }
}

/// A message in which that field is there once more than `MOST` times at the most: what comes behind is
/// left out. Whoever takes it looks at [`exceeds`](Self::exceeds) first.
#[derive(Debug, Default)]
pub struct Counted<M, const MOST: usize>(pub M);

impl<M: Repeats, const MOST: usize> Counted<M, MOST> {
    /// Whether there were more than may be, so that something was left out.
    pub fn exceeds(&self) -> bool {
        self.0.count() > MOST
    }
}

impl<M: Repeats, const MOST: usize> Message for Counted<M, MOST> {
    fn encode_raw(&self, out: &mut impl BufMut) {
        self.0.encode_raw(out);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        kind: WireType,
        bytes: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        if tag == M::FIELD && self.exceeds() {
            return skip_field(kind, tag, bytes, context);
        }
        self.0.merge_field(tag, kind, bytes, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::computer_info::Container;
    use crate::rpc::forwarding_table::Entry;

    const MOST: usize = 100;

    fn info(containers: usize) -> ComputerInfo {
        ComputerInfo {
            edge_server_endpoint: "a:1".to_owned(),
            containers: vec![Container::default(); containers],
            generation: 7,
            ..ComputerInfo::default()
        }
    }

    fn table(entries: usize) -> ForwardingTable {
        ForwardingTable {
            entries: vec![Entry::default(); entries],
            total: 7,
            has_owners: true,
        }
    }

    #[test]
    fn what_is_within_the_bound_is_decoded_as_ever() {
        for count in [0, 1, MOST] {
            let counted = Counted::<_, MOST>::decode(&info(count).encode_to_vec()[..]).unwrap();
            assert_eq!((&counted.0, counted.exceeds()), (&info(count), false));
            let counted = Counted::<_, MOST>::decode(&table(count).encode_to_vec()[..]).unwrap();
            assert_eq!((&counted.0, counted.exceeds()), (&table(count), false));
        }
    }

    #[test]
    fn of_what_is_beyond_the_bound_one_is_kept() {
        let beyond = info(3 * MOST).encode_to_vec();
        let counted = Counted::<ComputerInfo, MOST>::decode(&beyond[..]).unwrap();
        assert!(counted.exceeds());
        assert_eq!(counted.0, info(MOST + 1));
        let beyond = table(3 * MOST).encode_to_vec();
        let counted = Counted::<ForwardingTable, MOST>::decode(&beyond[..]).unwrap();
        assert!(counted.exceeds());
        assert_eq!(counted.0, table(MOST + 1));
    }
}
