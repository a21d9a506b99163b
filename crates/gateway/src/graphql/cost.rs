//! What a question may cost, refused in numbers: the library's own refusal has none.

use std::sync::Arc;

use async_graphql::{
    ServerError, ValidationResult,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation},
};
use nexus_core::problem::{Code, Problem};

use super::ask::refused;

/// What a query may cost: a plain field 1, a list as many times its fields as it may have items.
const COST: usize = 5_000;

/// Holds every document to its cost.
pub(super) struct Cost;

impl ExtensionFactory for Cost {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Self)
    }
}

#[async_trait::async_trait]
impl Extension for Cost {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let seen = next.run(ctx).await?;
        if seen.complexity <= COST {
            return Ok(seen);
        }
        let message = format!(
            "the query costs {}, at most {COST} are possible: ask for fewer fields, or for fewer items of a list (`first`), \
             which costs its fields for each",
            seen.complexity
        );
        Err(vec![refused(&Problem::new(Code::TooLarge, message).into())])
    }
}
