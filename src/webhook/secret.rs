//! What deliveries are signed with, as Standard Webhooks 1.0 has it: HMAC-SHA-256 over `id.timestamp.body`. Pure.
use crate::{Error, Result};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";

/// A secret of 256 bits.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret([u8; 32]);

impl std::fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("WebhookSecret(…)")
    }
}

impl WebhookSecret {
    /// A new one.
    ///
    /// # Errors
    /// [`Error::Internal`] when the system has no randomness.
    pub fn fresh() -> Result<Self> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|e| Error::Internal(format!("no randomness: {e}")))?;
        Ok(Self(bytes))
    }
    /// One that was kept.
    ///
    /// # Errors
    /// [`Error::Internal`] for bytes that are none.
    pub fn kept(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.try_into().map_err(|_| Error::Internal("a secret of a webhook is too short".into()))?;
        Ok(Self(bytes))
    }
    /// Its bytes, to be kept.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// Its text, for the one it is handed to.
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(self.0))
    }
    fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mut mac = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, &self.0));
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        format!("v1,{}", STANDARD.encode(mac.sign()))
    }
}

/// The value of `webhook-signature`: by every secret that is good.
pub fn signatures(secrets: &[WebhookSecret], id: &str, timestamp: i64, body: &[u8]) -> String {
    let signed: Vec<_> = secrets.iter().map(|secret| secret.sign(id, timestamp, body)).collect();
    signed.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signed_as_the_specification_shows() {
        // HMAC-SHA-256 as computed by `openssl dgst -sha256 -mac HMAC` with a key of 32 zero bytes.
        let secret = WebhookSecret([0; 32]);
        assert_eq!(secret.expose(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        let one = signatures(std::slice::from_ref(&secret), "msg_1", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(one, "v1,Bl1a0SVt78DCV06Rvr6oSEMbCaFysVu27en9cW0mNBI=");
        let other = WebhookSecret::fresh().unwrap();
        let both = signatures(&[other, secret], "msg_1", 1_614_265_330, b"{\"test\": 2432232314}");
        assert_eq!(both.split(' ').nth(1), Some(&*one));
    }

    #[test]
    fn a_secret_is_not_shown_by_accident() {
        assert_eq!(format!("{:?}", WebhookSecret([7; 32])), "WebhookSecret(…)");
        assert!(WebhookSecret::kept(&[0; 31]).is_err());
    }
}
