//! How evenly what there is was shared among clients that wanted more.
//!
//! The fair share of a client is its max-min fair share of the capacity (Bertsekas and Gallager,
//! Data Networks, 1992, section 6.5.2): who asks for less than an equal part gets all that it asks
//! for, and what it leaves is shared equally among the others. What each got is divided by its
//! fair share, and of these ratios Jain's index is taken (Jain, Chiu and Hawe, DEC-TR-301, 1984):
//! the square of the sum over n times the sum of the squares. It is 1 if all got the same multiple
//! of their fair shares, and 1/n if one got everything. It says nothing about how much that was.

/// The max-min fair shares of `capacity` for clients that ask for `demands`, in the same unit.
pub(super) fn max_min_shares(demands: &[f64], capacity: f64) -> Vec<f64> {
    let mut modest_first: Vec<usize> = (0..demands.len()).collect();
    modest_first.sort_by(|&a, &b| demands[a].total_cmp(&demands[b]));
    let mut shares = vec![0.0; demands.len()];
    let mut left = capacity;
    for (served, client) in modest_first.into_iter().enumerate() {
        let equal_part = left / (demands.len() - served) as f64;
        shares[client] = demands[client].min(equal_part);
        left -= shares[client];
    }
    shares
}

/// What each client got, divided by its fair share; nothing of those that asked for nothing.
pub(super) fn ratios(got: &[f64], fair: &[f64]) -> Vec<f64> {
    got.iter()
        .zip(fair)
        .filter(|(_, fair)| **fair > 0.0)
        .map(|(got, fair)| got / fair)
        .collect()
}

/// Jain's index of `ratios`; NaN if nobody got anything.
pub(super) fn jain(ratios: &[f64]) -> f64 {
    let sum: f64 = ratios.iter().sum();
    let squares: f64 = ratios.iter().map(|ratio| ratio * ratio).sum();
    sum * sum / (ratios.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modest_clients_get_what_they_ask_for_and_the_others_share_the_rest() {
        assert_eq!(max_min_shares(&[10.0, 2.0, 8.0], 12.0), [5.0, 2.0, 5.0]);
        assert_eq!(max_min_shares(&[1.0, 2.0], 12.0), [1.0, 2.0]);
        assert_eq!(max_min_shares(&[9.0, 9.0, 9.0], 12.0), [4.0; 3]);
        assert!(max_min_shares(&[], 12.0).is_empty());
    }

    #[test]
    fn the_index_is_one_for_equal_ratios_and_the_reciprocal_of_their_number_for_a_monopoly() {
        assert_eq!(jain(&[0.3, 0.3, 0.3, 0.3]), 1.0);
        assert_eq!(jain(&[5.0, 0.0, 0.0, 0.0]), 0.25);
        assert!(jain(&[0.0, 0.0]).is_nan());
    }

    #[test]
    fn a_greedy_client_that_gets_in_proportion_to_its_demand_is_seen() {
        let demands = [1000.0, 100.0, 100.0, 100.0];
        let got: Vec<f64> = demands.iter().map(|demand| demand / 2.0).collect();
        let fair = max_min_shares(&demands, 650.0);
        assert_eq!(fair, [350.0, 100.0, 100.0, 100.0]);
        assert!(jain(&ratios(&got, &fair)) < 0.85);
        assert_eq!(jain(&ratios(&fair, &fair)), 1.0);
    }

    #[test]
    fn who_asked_for_nothing_does_not_count() {
        assert_eq!(ratios(&[2.0, 0.0], &[4.0, 0.0]), [0.5]);
    }
}
