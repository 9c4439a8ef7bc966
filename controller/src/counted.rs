//! What computers announce, counted while it is decoded: a container that says nothing takes two bytes of
//! a message, and forty times as much memory.

use edge_proto::rpc::ComputerInfo;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field};
use prost::{DecodeError, Message};

use crate::announcement::MAX_CONTAINERS;

/// The number of the field of containers.
const CONTAINERS: u32 = 2;

/// An announcement with one container more than it may have, at the most: others are left out.
#[derive(Debug, Default)]
pub(crate) struct Counted(pub(crate) ComputerInfo);

impl Message for Counted {
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
        if tag == CONTAINERS && self.0.containers.len() > MAX_CONTAINERS {
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
    use edge_proto::rpc::computer_info::Container;

    use super::*;

    fn info(containers: usize) -> ComputerInfo {
        ComputerInfo {
            edge_server_endpoint: "a:1".to_owned(),
            containers: vec![Container::default(); containers],
            generation: 7,
            ..ComputerInfo::default()
        }
    }

    #[test]
    fn what_is_within_the_bound_is_decoded_as_ever() {
        for count in [0, 1, MAX_CONTAINERS] {
            let info = info(count);
            let counted = Counted::decode(&info.encode_to_vec()[..]).unwrap();
            assert_eq!(counted.0, info);
        }
    }

    #[test]
    fn of_containers_beyond_the_bound_one_is_kept() {
        let beyond = info(3 * MAX_CONTAINERS).encode_to_vec();
        let counted = Counted::decode(&beyond[..]).unwrap();
        assert_eq!(counted.0, info(MAX_CONTAINERS + 1));
    }
}
