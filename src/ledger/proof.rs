//! Proofs as text (C2SP tlog-proof): a leaf's position, its path to the root, and the checkpoint of that root. Pure.
use super::{
    checkpoint::{Head, NotBelieved},
    event::Hash,
    tree::Node,
};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use tlog_tiles::tlog;

const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// Why a proof proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotProved {
    /// It is not written as C2SP tlog-proof says.
    #[error("it is not a proof as C2SP tlog-proof has them")]
    Malformed,
    /// Its checkpoint is not believed.
    #[error("its checkpoint is not believed: {0}")]
    Checkpoint(#[from] NotBelieved),
    /// The path does not lead from the leaf to the root.
    #[error("the path does not lead from this leaf to the root of the checkpoint")]
    Path,
}

/// That a log contains a leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's position.
    pub index: u64,
    /// The audit path (RFC 6962, 2.1.1), from the leaf up.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub checkpoint: String,
}

impl std::fmt::Display for Proof {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(f, "{FORMAT}\nindex {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl std::str::FromStr for Proof {
    type Err = NotProved;
    fn from_str(text: &str) -> Result<Self, NotProved> {
        let (head, checkpoint) = text.split_once("\n\n").ok_or(NotProved::Malformed)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FORMAT) {
            return Err(NotProved::Malformed);
        }
        // What else its maker had to say says nothing to us.
        while lines.next_if(|line| line.starts_with("extra ")).is_some() {}
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(NotProved::Malformed)?;
        let number: u64 = index.parse().map_err(|_| NotProved::Malformed)?;
        let path = lines.map(hash).collect::<Option<_>>().ok_or(NotProved::Malformed)?;
        if index != number.to_string() {
            return Err(NotProved::Malformed);
        }
        Ok(Self { index: number, path, checkpoint: checkpoint.to_owned() })
    }
}

fn hash(line: &str) -> Option<Hash> {
    BASE64.decode(line).ok()?.try_into().ok()
}

impl Proof {
    /// That the log of this verifier key contains the leaf of this hash; answers the head it was checked against.
    ///
    /// # Errors
    /// [`NotProved`].
    pub fn check(&self, leaf: Hash, verifier: &str) -> Result<Head, NotProved> {
        let head = Head::verify(&self.checkpoint, verifier)?;
        let path: Vec<Node> = self.path.iter().copied().map(Node).collect();
        tlog::check_record(&path, head.size, Node(head.root), self.index, Node(leaf)).map_err(|_| NotProved::Path)?;
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{checkpoint::Signer, event::leaf_hash, tree};
    use ed25519_dalek::SigningKey;

    #[test]
    fn a_proof_holds_as_text_and_for_its_leaf_alone() {
        let leaves: Vec<_> = (0..11_u64).map(|n| leaf_hash(&n.to_be_bytes())).collect();
        let mut nodes = tree::Nodes::default();
        tree::grow(0, &mut nodes, &leaves).unwrap();
        let signer = Signer::new("example.org/log", &SigningKey::from_bytes(&[7; 32]));
        let checkpoint = signer.sign(11, tree::root(11, &nodes).unwrap()).unwrap();
        for (index, leaf) in (0_u64..).zip(&leaves) {
            let path = tlog::prove_record(11, index, &nodes).unwrap().into_iter().map(|node| node.0).collect();
            let proof = Proof { index, path, checkpoint: checkpoint.clone() };
            let text = proof.to_string();
            assert!(text.starts_with(&format!("c2sp.org/tlog-proof@v1\nindex {index}\n")), "{text}");
            let read: Proof = text.parse().unwrap();
            assert_eq!(read, proof);
            assert_eq!(read.check(*leaf, &signer.verifier()).unwrap().size, 11);
            let other = leaves[usize::try_from((index + 1) % 11).unwrap()];
            assert_eq!(read.check(other, &signer.verifier()), Err(NotProved::Path));
            let more = text.replacen("\nindex", "\nextra AAAA\nindex", 1);
            assert_eq!(more.parse::<Proof>().unwrap(), proof);
            for at in 0..text.len() {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1;
                let changed = String::from_utf8(bytes).ok().and_then(|text| text.parse::<Proof>().ok());
                assert!(changed.is_none_or(|p| p.check(*leaf, &signer.verifier()).is_err()), "byte {at}");
            }
        }
    }
}
