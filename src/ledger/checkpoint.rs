//! Checkpoints (C2SP tlog-checkpoint): the head of the tree as a signed note (C2SP signed-note, Ed25519). Pure.
use super::{event::Hash, tree::Node};
use base64::{Engine, prelude::BASE64_STANDARD as BASE64};
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use signed_note::{Note, StandardVerifier, VerifierList};
use tlog_tiles::checkpoint::Checkpoint as Body;

/// Ed25519 in the signed-note format.
const ED25519: u8 = 0x01;

/// Why a checkpoint is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotBelieved {
    /// It is not written as C2SP tlog-checkpoint says, or holds more than that.
    #[error("it is not a checkpoint as C2SP tlog-checkpoint has them")]
    Malformed,
    /// It is of another log.
    #[error("it is of another log")]
    Origin,
    /// The key did not sign it.
    #[error("it is not signed by the log's key")]
    Signature,
    /// The verifier key cannot be read.
    #[error("the verifier key cannot be read")]
    Key,
}

/// The head of a tree: so many leaves, this root, under this origin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The log's name, which is also the name of its key.
    pub origin: String,
    /// How many leaves.
    pub size: u64,
    /// The RFC 6962 root.
    pub root: Hash,
}

impl Head {
    /// Reads a checkpoint without asking who signed it.
    ///
    /// # Errors
    /// [`NotBelieved::Malformed`].
    pub fn read(note: &str) -> Result<Self, NotBelieved> {
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| NotBelieved::Malformed)?;
        let body = Body::from_bytes(parsed.text()).map_err(|_| NotBelieved::Malformed)?;
        // One head has one text: nothing may hide in another spelling, or in lines that we do not write.
        if parsed.to_bytes() != note.as_bytes() || body.to_bytes() != parsed.text() || !body.extension().is_empty() {
            return Err(NotBelieved::Malformed);
        }
        Ok(Self { origin: body.origin().to_owned(), size: body.size(), root: body.hash().0 })
    }

    /// Reads a checkpoint that the holder of this verifier key has signed.
    ///
    /// # Errors
    /// [`NotBelieved`]; nothing of a checkpoint may be used before.
    pub fn verify(note: &str, verifier: &str) -> Result<Self, NotBelieved> {
        let head = Self::read(note)?;
        let (name, _) = verifier.split_once('+').ok_or(NotBelieved::Key)?;
        if head.origin != name {
            return Err(NotBelieved::Origin);
        }
        let known = VerifierList::new(vec![Box::new(self::verifier(verifier)?)]);
        let parsed = Note::from_bytes(note.as_bytes()).map_err(|_| NotBelieved::Malformed)?;
        parsed.verify(&known).map_err(|_| NotBelieved::Signature)?;
        Ok(head)
    }
}

/// Signs the heads of one generation of the log.
pub struct Signer {
    origin: String,
    key: SigningKey,
    id: u32,
}

impl Signer {
    /// For this origin.
    pub fn new(origin: &str, key: &SigningKey) -> Self {
        let public = [&[ED25519][..], key.verifying_key().as_bytes()].concat();
        Self { origin: origin.to_owned(), key: key.clone(), id: signed_note::key_id(origin, &public) }
    }

    /// What a verifier is configured with: `name+hex(keyid)+base64(0x01 ‖ public key)`.
    pub fn verifier(&self) -> String {
        verifier_key(&self.origin, &self.key.verifying_key())
    }

    /// The checkpoint of a tree.
    ///
    /// # Errors
    /// [`NotBelieved::Malformed`] when the origin cannot name a key.
    pub fn sign(&self, size: u64, root: Hash) -> Result<String, NotBelieved> {
        let body = Body::new(&self.origin, size, Node(root), "").map_err(|_| NotBelieved::Malformed)?;
        let mut note = Note::new(&body.to_bytes(), &[]).map_err(|_| NotBelieved::Malformed)?;
        note.add_sigs(&[self]).map_err(|_| NotBelieved::Malformed)?;
        String::from_utf8(note.to_bytes()).map_err(|_| NotBelieved::Malformed)
    }
}

impl signed_note::Signer for Signer {
    fn name(&self) -> &str {
        &self.origin
    }
    fn key_id(&self) -> u32 {
        self.id
    }
    fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ed25519_dalek::ed25519::Error> {
        Ok(self.key.try_sign(text)?.to_vec())
    }
}

/// The verifier key of a log: `name+hex(keyid)+base64(0x01 ‖ public key)`.
pub fn verifier_key(origin: &str, key: &VerifyingKey) -> String {
    signed_note::new_ed25519_verifier_key(origin, key)
}

/// Reads a verifier key.
///
/// # Errors
/// [`NotBelieved::Key`].
pub fn verifier(text: &str) -> Result<StandardVerifier, NotBelieved> {
    StandardVerifier::new(text).map_err(|_| NotBelieved::Key)
}

/// The verifier key of another generation of a log: the same key under another name.
///
/// # Errors
/// [`NotBelieved::Key`].
pub fn renamed(verifier: &str, origin: &str) -> Result<String, NotBelieved> {
    let public = verifier.splitn(3, '+').nth(2).and_then(|text| BASE64.decode(text).ok());
    let public = public.as_deref().and_then(|bytes| bytes.strip_prefix(&[ED25519])).ok_or(NotBelieved::Key)?;
    let key = VerifyingKey::try_from(public).map_err(|_| NotBelieved::Key)?;
    Ok(verifier_key(origin, &key))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer() -> Signer {
        Signer::new("example.org/log", &SigningKey::from_bytes(&[7; 32]))
    }

    #[test]
    fn it_is_written_as_the_specification_says() {
        let note = signer().sign(3, [1; 32]).unwrap();
        let lines: Vec<_> = note.split('\n').collect();
        assert_eq!(lines[..4], ["example.org/log", "3", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=", ""]);
        assert!(lines[4].starts_with("\u{2014} example.org/log "), "{note}");
        assert_eq!(lines[5..], [""]);
    }

    #[test]
    fn every_byte_counts() {
        let (signer, verifier) = (signer(), signer().verifier());
        let note = signer.sign(41, [9; 32]).unwrap();
        let head = Head::verify(&note, &verifier).unwrap();
        assert_eq!(head, Head { origin: "example.org/log".into(), size: 41, root: [9; 32] });
        for at in 0..note.len() {
            for bit in 0..8 {
                let mut bytes = note.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                let Ok(changed) = String::from_utf8(bytes) else { continue };
                assert!(Head::verify(&changed, &verifier).is_err(), "byte {at}, bit {bit}:\n{changed}");
            }
        }
        assert_eq!(Head::verify(&format!("{note}\n"), &verifier), Err(NotBelieved::Malformed));
        assert_eq!(Head::verify(&note.replacen("\n\n", "\nmore\n\n", 1), &verifier), Err(NotBelieved::Malformed));
    }

    #[test]
    fn another_log_or_another_key_is_not_believed() {
        let note = signer().sign(41, [9; 32]).unwrap();
        let elsewhere = Signer::new("example.org/other", &SigningKey::from_bytes(&[7; 32]));
        let stranger = Signer::new("example.org/log", &SigningKey::from_bytes(&[8; 32]));
        assert_eq!(Head::verify(&note, &elsewhere.verifier()), Err(NotBelieved::Origin));
        assert_eq!(Head::verify(&note, &stranger.verifier()), Err(NotBelieved::Signature));
        assert_eq!(Head::verify(&note, "example.org/log"), Err(NotBelieved::Key));
        // Base64 has the sign that parts the key's members.
        for seed in 0..64 {
            let named = |origin| Signer::new(origin, &SigningKey::from_bytes(&[seed; 32])).verifier();
            assert_eq!(renamed(&named("example.org/log"), "example.org/other").unwrap(), named("example.org/other"));
        }
        for verifier in ["example.org/log", "example.org/log+00000000+", "example.org/log+00000000+AQ=="] {
            assert_eq!(renamed(verifier, "example.org/other"), Err(NotBelieved::Key), "{verifier}");
        }
    }

    /// The example of C2SP signed-note, as its authors publish it: key and note.
    #[test]
    fn the_published_note_verifies_against_the_published_key() {
        let verifier = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
        let note = "This is an example message.\n\n\u{2014} example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";
        let known = VerifierList::new(vec![Box::new(StandardVerifier::new(verifier).unwrap())]);
        assert_eq!(Note::from_bytes(note.as_bytes()).unwrap().verify(&known).unwrap().0.len(), 1);
        let rest = verifier.rsplit_once('+').unwrap().1;
        let public = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, rest).unwrap();
        let key = VerifyingKey::from_bytes(public[1..].try_into().unwrap()).unwrap();
        assert_eq!(verifier_key("example.com/foo", &key), verifier);
    }
}
