//! The RFC 6962 tree as `tlog_tiles` has it: every complete subtree is a node with a number, and a log that only grows never
//! changes one. Pure.
use super::event::Hash;
use crate::{Error, Result};
use std::collections::HashMap;
use tlog_tiles::tlog::{self, HashReader};

pub use tlog_tiles::tlog::Hash as Node;

/// A position or a size as the database counts it.
///
/// # Errors
/// [`Error::Internal`] beyond 2^63 − 1.
pub fn count(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(|_| Error::Internal(format!("a log of {n}")))
}

/// A position or a size from the database.
///
/// # Errors
/// [`Error::Internal`] below zero.
pub fn natural(n: i64) -> Result<u64> {
    u64::try_from(n).map_err(|_| Error::Internal(format!("a log of {n}")))
}

/// What the library says of a tree.
pub fn broken(e: &tlog::Error) -> Error {
    Error::Internal(format!("the log's tree: {e}"))
}

/// Nodes that were fetched, by their numbers.
#[derive(Debug, Clone, Default)]
pub struct Nodes(HashMap<u64, Node>);

impl Extend<(u64, Hash)> for Nodes {
    fn extend<I: IntoIterator<Item = (u64, Hash)>>(&mut self, nodes: I) {
        self.0.extend(nodes.into_iter().map(|(number, hash)| (number, Node(hash))));
    }
}

impl FromIterator<(u64, Hash)> for Nodes {
    fn from_iter<I: IntoIterator<Item = (u64, Hash)>>(nodes: I) -> Self {
        let mut all = Self::default();
        all.extend(nodes);
        all
    }
}

impl IntoIterator for Nodes {
    type Item = (u64, Hash);
    type IntoIter = std::iter::Map<std::collections::hash_map::IntoIter<u64, Node>, fn((u64, Node)) -> Self::Item>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter().map(|(number, hash)| (number, hash.0))
    }
}

impl HashReader for Nodes {
    fn read_hashes(&self, numbers: &[u64]) -> std::result::Result<Vec<Node>, tlog::Error> {
        numbers.iter().map(|n| self.0.get(n).copied().ok_or(tlog::Error::IndexesNotInTree)).collect()
    }
}

/// Notes which nodes are asked for, so that all can be fetched at once; what it answers is worthless.
#[derive(Default)]
pub struct Asked(std::cell::RefCell<Vec<u64>>);

impl HashReader for Asked {
    fn read_hashes(&self, numbers: &[u64]) -> std::result::Result<Vec<Node>, tlog::Error> {
        self.0.borrow_mut().extend(numbers);
        Ok(vec![Node::default(); numbers.len()])
    }
}

/// The numbers of the nodes that a computation asks for.
///
/// # Errors
/// When its own input is impossible.
pub fn needed<T>(compute: impl FnOnce(&Asked) -> std::result::Result<T, tlog::Error>) -> Result<Vec<u64>> {
    let asked = Asked::default();
    compute(&asked).map_err(|e| broken(&e))?;
    Ok(asked.0.into_inner())
}

/// The numbers of the nodes from which a tree of this size grows on: those its root is made of.
pub fn edge(size: u64) -> Vec<u64> {
    tlog::sub_tree_index(0, size, Vec::new())
}

/// The root of the first `size` leaves; needs [`edge`].
///
/// # Errors
/// When a node is missing.
pub fn root(size: u64, nodes: &Nodes) -> Result<Hash> {
    tlog::tree_hash(size, nodes).map(|hash| hash.0).map_err(|e| broken(&e))
}

/// Grows a tree of `size` leaves, whose [`edge`] is in `nodes`, by these leaf hashes; answers the nodes that are new.
///
/// # Errors
/// When a node is missing.
pub fn grow(size: u64, nodes: &mut Nodes, leaves: &[Hash]) -> Result<Vec<(u64, Hash)>> {
    let mut made = Vec::with_capacity(leaves.len() * 2);
    for (position, leaf) in (size..).zip(leaves) {
        let first = tlog::stored_hash_index(0, position);
        let hashes = tlog::stored_hashes_for_record_hash(position, Node(*leaf), nodes).map_err(|e| broken(&e))?;
        for (number, hash) in (first..).zip(hashes) {
            nodes.0.insert(number, Node(hash.0));
            made.push((number, hash.0));
        }
    }
    Ok(made)
}

/// A tree that grows leaf by leaf, and remembers only what it grows on from.
#[derive(Debug, Default)]
pub struct Growing {
    size: u64,
    nodes: Nodes,
}

/// How many leaves come between two looks at what is no longer needed.
const FORGET_EVERY: u64 = 1024;

impl Growing {
    /// How many leaves it has.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Takes the next leaf; answers the nodes that it completes.
    ///
    /// # Errors
    /// Beyond 2^63 leaves.
    pub fn push(&mut self, leaf: Hash) -> Result<Vec<(u64, Hash)>> {
        let made = grow(self.size, &mut self.nodes, &[leaf])?;
        self.size += 1;
        if self.size.is_multiple_of(FORGET_EVERY) {
            let needed = edge(self.size);
            self.nodes.0.retain(|number, _| needed.contains(number));
        }
        Ok(made)
    }

    /// Its root.
    ///
    /// # Errors
    /// Never: it has its edge.
    pub fn root(&self) -> Result<Hash> {
        root(self.size, &self.nodes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::event::leaf_hash;
    use proptest::prelude::*;

    /// The tree as RFC 6962, 2.1, defines it.
    fn defined(leaves: &[Hash]) -> Hash {
        use sha2::{Digest, Sha256};
        match leaves {
            [] => Sha256::digest([]).into(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                Sha256::new()
                    .chain_update([1])
                    .chain_update(defined(left))
                    .chain_update(defined(right))
                    .finalize()
                    .into()
            }
        }
    }

    fn grown(leaves: &[Hash]) -> Nodes {
        let mut nodes = Nodes::default();
        grow(0, &mut nodes, leaves).unwrap();
        nodes
    }

    /// The inputs of the tests that implementations of RFC 6962 share, and the roots of the first so many of them.
    #[test]
    fn published_roots_agree() {
        let inputs =
            ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
        let roots = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
            "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
            "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
            "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
        ];
        let leaves: Vec<_> = inputs.iter().map(|hex| leaf_hash(&hex::decode(hex).unwrap())).collect();
        for (size, published) in roots.iter().enumerate() {
            let nodes = grown(&leaves[..size]);
            assert_eq!(hex::encode(root(size as u64, &nodes).unwrap()), *published, "{size}");
        }
    }

    proptest! {
        #[test]
        fn it_is_the_tree_of_the_standard(first in 0_usize..600, more in 0_usize..300) {
            let leaves: Vec<_> = (0..first + more).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let before = grown(&leaves[..first]);
            // Only the edge is carried over, as the sequencer does.
            let mut nodes: Nodes = edge(first as u64).into_iter().map(|n| (n, before.0[&n].0)).collect();
            grow(first as u64, &mut nodes, &leaves[first..]).unwrap();
            let size = leaves.len() as u64;
            prop_assert_eq!(root(size, &nodes).unwrap(), defined(&leaves));
        }

        #[test]
        fn leaf_by_leaf_it_is_the_same_tree(size in 0_usize..2600) {
            let leaves: Vec<_> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let mut growing = Growing::default();
            let mut made = Nodes::default();
            for leaf in &leaves {
                made.extend(growing.push(*leaf).unwrap());
            }
            prop_assert_eq!(growing.root().unwrap(), defined(&leaves));
            prop_assert_eq!(made.0, grown(&leaves).0);
            prop_assert!(growing.nodes.0.len() < 2 * 1024 + 64, "it forgets");
        }

        #[test]
        fn proofs_hold_for_their_leaf_and_no_other(size in 1_u64..500, pick in any::<u64>(), old in any::<u64>()) {
            let leaves: Vec<_> = (0..size).map(|n| leaf_hash(&n.to_be_bytes())).collect();
            let (nodes, position, older) = (grown(&leaves), pick % size, 1 + old % size);
            let top = Node(root(size, &nodes).unwrap());
            let leaf = |n: u64| Node(leaves[usize::try_from(n).unwrap()]);
            let numbers = needed(|r| tlog::prove_record(size, position, r)).unwrap();
            let fetched: Nodes = numbers.iter().map(|n| (*n, nodes.0[n].0)).collect();
            let proof = tlog::prove_record(size, position, &fetched).unwrap();
            prop_assert!(tlog::check_record(&proof, size, top, position, leaf(position)).is_ok());
            if size > 1 {
                prop_assert!(tlog::check_record(&proof, size, top, position, leaf((position + 1) % size)).is_err());
            }
            let consistency = tlog::prove_tree(size, older, &nodes).unwrap();
            let top_then = Node(root(older, &nodes).unwrap());
            prop_assert!(tlog::check_tree(&consistency, size, top, older, top_then).is_ok());
        }
    }
}
