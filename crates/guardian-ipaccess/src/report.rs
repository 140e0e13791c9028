//! What rules have to do with each other, and what they come to.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Serialize;

use crate::{AccessPolicy, Effect, Rule, RuleId};

/// Two rules about addresses of which one has to do with the other.
///
/// ```
/// use guardian_ipaccess::{AccessPolicy, Defaults, Overlap};
///
/// let policy = AccessPolicy::parse("deny 10.0.0.0/8\ndeny 10.1.0.0/16\nallow 10.2.0.0/16", Defaults::open())?;
/// let said: Vec<_> = policy.overlaps().iter().map(|overlap| format!("{overlap:?}")).collect();
/// assert_eq!(said, ["Redundant { rule: RuleId(2), by: RuleId(1) }", "Exception { rule: RuleId(3), of: RuleId(1) }"]);
/// # Ok::<(), guardian_ipaccess::PolicyError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// A rule without which the addresses would be treated the same.
    Redundant {
        /// The rule.
        rule: RuleId,
        /// The one that says the same of a larger network, or of the same one.
        by: RuleId,
    },
    /// A rule that says the opposite within another's network.
    Exception {
        /// The rule.
        rule: RuleId,
        /// The one that it is an exception of.
        of: RuleId,
    },
    /// A rule that never decides, as another denies the same network.
    Overruled {
        /// The rule.
        rule: RuleId,
        /// The one that denies.
        by: RuleId,
    },
}

impl AccessPolicy {
    /// Which rules about addresses repeat others, contradict them, or are exceptions of them. Rules that hold for some requests
    /// only are left out. O(n log n).
    #[must_use]
    pub fn overlaps(&self) -> Vec<Overlap> {
        let rules = self.rules.iter().filter(|rule| rule.is_unconditional());
        let mut nets: Vec<(IpNet, &Rule)> =
            rules.flat_map(|rule| rule.target.networks().map(move |net| (net, rule))).collect();
        // Those that contain others first; of the same network the one that wins.
        nets.sort_by_key(|(net, rule)| {
            (net.network(), net.prefix_len(), rule.effect == Effect::Allow, rule.id)
        });
        let mut found = BTreeSet::new();
        // Rules with a network that counts, and would not be missed for the others alone.
        let mut needed = BTreeSet::new();
        let mut around: Vec<(IpNet, &Rule)> = Vec::new();
        for same in nets.chunk_by(|(one, _), (other, _)| one == other) {
            let Some(((net, winner), others)) = same.split_first() else { continue };
            while around.pop_if(|(outer, _)| !outer.contains(net)).is_some() {}
            for (_, other) in others {
                found.insert(if other.effect == winner.effect {
                    Overlap::Redundant { rule: other.id, by: winner.id }
                } else {
                    Overlap::Overruled { rule: other.id, by: winner.id }
                });
            }
            // Without the winner one that it overrules would decide.
            let holds_back = others.iter().any(|(_, other)| other.effect != winner.effect);
            match around.last() {
                Some((_, outer)) if outer.effect != winner.effect => {
                    found.insert(Overlap::Exception { rule: winner.id, of: outer.id });
                    needed.insert(winner.id);
                }
                Some((_, outer)) if !holds_back => {
                    found.insert(Overlap::Redundant { rule: winner.id, by: outer.id });
                }
                _ => {
                    needed.insert(winner.id);
                }
            }
            around.push((*net, winner));
        }
        found.retain(|overlap| match overlap {
            Overlap::Redundant { rule, .. } | Overlap::Overruled { rule, .. } => !needed.contains(rule),
            Overlap::Exception { .. } => true,
        });
        found.into_iter().collect()
    }

    /// The fewest networks that are all addresses for which rules about addresses say so much, those that hold for some requests only
    /// left out: what a firewall would need to be told.
    ///
    /// ```
    /// use guardian_ipaccess::{AccessPolicy, Defaults, Effect};
    ///
    /// let policy = AccessPolicy::parse("allow 10.0.0.0/25\nallow 10.0.0.128/25\ndeny 10.0.0.64/26", Defaults::closed())?;
    /// let cover: Vec<_> = policy.cover(Effect::Allow).iter().map(ToString::to_string).collect();
    /// assert_eq!(cover, ["10.0.0.0/26", "10.0.0.128/25"]);
    /// # Ok::<(), guardian_ipaccess::PolicyError>(())
    /// ```
    #[must_use]
    pub fn cover(&self, effect: Effect) -> Vec<IpNet> {
        let mut alone = Self::new(self.defaults);
        alone.rules = self
            .rules
            .iter()
            .filter(|rule| rule.is_unconditional() && rule.target.is_address())
            .cloned()
            .collect();
        let mut nets = Vec::new();
        for (range, said) in crate::set::stretches_of(&alone) {
            if said == effect {
                nets.extend(range.networks());
            }
        }
        IpNet::aggregate(&nets)
    }
}
