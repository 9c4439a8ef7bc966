//! Whether a failure sets its destination aside, or is what happens everywhere.
//!
//! A broken connection, or none to be had, speaks for itself: the destination is ejected whatever
//! the others do. A single request that fails over a connection that works says less. Where every
//! destination loses a request now and then (a bad network, a lambda that crashes its platform),
//! ejecting each after each failure would soon leave none, so such a failure ejects a destination
//! only
//!
//! - if its recent failure ratio is far from what the others have over a longer time, and
//! - while fewer than half of the lambda's destinations are set aside.
//!
//! The second is the panic threshold of other balancers, but for doubtful evidence only: with most
//! destinations known to be dead, spreading requests over all of them would help nobody.
//!
//! | destinations | a doubtful failure sets aside | an unreachable one |
//! |---|---|---|
//! | 1 | it, which changes nothing: where no other is left it is used all the same | likewise |
//! | 2 | one of them | any |
//! | 3 | two of them | any |
//! | n | less than half plus one | any |

use crate::route::Route;
use crate::routes::Routes;

/// How many times the long-term ratio of the others a ratio has to reach to stand out.
const TIMES: f32 = 12.0;
/// What stands out among destinations that never fail: less than a single failure of late.
const LEAST: f32 = 0.03;

/// Whether `route`, which just failed, stands out among `routes`; of many some stand for all.
pub(crate) fn stands_out(route: &Route, routes: Routes<'_>) -> bool {
    let own = route.destination().id();
    let (mut seen, mut others, mut failing, mut aside) = (0_usize, 0_u32, 0.0_f32, 0_usize);
    for other in routes.some(own) {
        seen += 1;
        let destination = other.destination();
        if !destination.health().is_healthy() {
            aside += 1;
        }
        if destination.id() != own {
            others += 1;
            failing += destination.health().failure_ratios().1;
        }
    }
    let usual = failing / others.max(1) as f32;
    let (late, _) = route.destination().health().failure_ratios();
    late > LEAST + TIMES * usual && 2 * aside < seen.max(1)
}
