//! What holds for any bytes that claim to be header blocks.

use edge_transport::http2::Fields;
use edge_transport::http2::hpack::Decoder;

/// Bytes that a peer may have remembered, and bytes of fields of one block.
const TABLE: usize = 4096;
const LIMIT: usize = 16 << 10;
/// What RFC 7541 adds to the size of each field.
const OVERHEAD: usize = 32;

/// Panics if more is kept than the limit of a block allows, or the same blocks are not decoded the
/// same twice. The first byte of each block of `data` is its length.
pub(crate) fn check(data: &[u8]) {
    let mut decoders = [Decoder::new(TABLE), Decoder::new(TABLE)];
    let mut fields = [Fields::new(LIMIT), Fields::new(LIMIT)];
    let mut rest = data;
    while let Some((length, after)) = rest.split_first() {
        let (block, behind) = after.split_at(after.len().min(usize::from(*length)));
        rest = behind;
        fields.iter_mut().for_each(Fields::clear);
        let [first, second] = [0, 1].map(|i| decoders[i].decode(block, &mut fields[i]));
        assert_eq!(first.is_ok(), second.is_ok());
        assert!(fields[0].iter().eq(fields[1].iter()));
        let sizes = fields[0]
            .iter()
            .map(|field| field.name.len() + field.value.len() + OVERHEAD);
        assert!(sizes.sum::<usize>() <= LIMIT);
        if first.is_err() {
            return;
        }
    }
}
