//! The only room with an HTTP client: one request out, one answer back, under guard.
//!
//! A URL is somebody else's input. So every address is judged before it is dialed, and the judged address is the one
//! that is dialed: a name that changes its mind between check and dial (DNS rebinding) gains nothing. Redirects are
//! never followed, answers are read only as far as they are kept, and every wait has an end.
//!
//! - [`address`]: which addresses may be dialed by whom.
//! - [`url`]: what a URL must look like, checked at configuration time and again before each dial.
//! - [`dial`]: resolving, judging, connecting.
//! - [`client`]: what may be asked for and what comes back.
//! - `pool`: the connections, and the exchange over one.
//! - [`smtp`]: mail, the one thing that does not go by HTTP.

pub mod address;
pub mod client;
pub mod dial;
pub mod error;
mod pool;
pub mod smtp;
pub mod url;

pub use address::Reach;
pub use client::{Client, ClientOptions, Request, Response};
pub use error::{Kind, SendError};
pub use url::{check_url, is_dot_segment};
