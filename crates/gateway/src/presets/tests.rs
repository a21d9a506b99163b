//! Every preset: a vector that holds, one changed byte that does not, and what the body becomes.
//!
//! Vectors marked "published" are the providers' own. The others were made with openssl, as
//! `printf '%s' "$SIGNED" | openssl dgst -sha256 -hmac "$KEY"` (`-binary | base64` where base64 is expected); the signed
//! text is given where it is not the body.

mod challenges;
mod mapping;
mod proofs;
mod samples;
