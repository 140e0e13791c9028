use axum::extract::FromRequestParts;
use guardian_core::{Cursor, Page, PageRequest};
use http::request::Parts;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ArrayBuilder, ObjectBuilder, Schema, SchemaType, Type};
use utoipa::{PartialSchema, ToSchema};

use super::{Kind, Params};
use crate::Problem;

/// Which page of a list: `?size=50&after=CURSOR`. As an extractor it refuses every other parameter; a list that has filters
/// too reads them with a struct of its own, which has the same two, and [`request`](Self::request).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageParams {
    /// How many items at most, 1 to 1000; 50 when it is not given.
    pub size: Option<u32>,
    /// Where the page begins: `next` of the page before.
    pub after: Option<String>,
}

impl PageParams {
    /// How many items a page has when nothing is said.
    pub const DEFAULT_SIZE: u32 = 50;

    /// The page that is wanted.
    ///
    /// # Errors
    /// 400 when the size is out of range or the cursor does not read.
    pub fn request(&self) -> Result<PageRequest, Problem> {
        let page = PageRequest::first(self.size.unwrap_or(Self::DEFAULT_SIZE))
            .map_err(|error| Kind::InvalidRequest.because(error))?;
        match &self.after {
            Some(cursor) => {
                Ok(page.after(cursor.parse().map_err(|error| Kind::InvalidRequest.because(error))?))
            }
            None => Ok(page),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PageParams {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Params::<Self>::from_request_parts(parts, state).await.map(|Params(page)| page)
    }
}

/// 400: the cursor was never given out for this list.
pub(super) fn none_of_this_list() -> Problem {
    Kind::InvalidRequest.because("the cursor is none of this list: pass on what the last page gave")
}

/// The key that a page of a list begins behind, of a list whose cursors are keys of so many bytes.
pub(super) fn behind<const N: usize>(page: &PageRequest) -> Result<Option<[u8; N]>, Problem> {
    let key = page.cursor().map(|cursor| <[u8; N]>::try_from(cursor.as_bytes())).transpose();
    key.map_err(|_| none_of_this_list())
}

/// The page of a list that begins with these items: one more of them than it has tells whether there is another page, which begins
/// behind the key of the last.
pub(super) fn cut<T, K: AsRef<[u8]>>(
    items: impl IntoIterator<Item = T>,
    page: &PageRequest,
    key: impl Fn(&T) -> K,
) -> Page<T> {
    let size = usize::try_from(page.size()).unwrap_or(usize::MAX);
    let mut rest = items.into_iter();
    let items: Vec<T> = rest.by_ref().take(size).collect();
    let last = rest.next().and(items.last());
    let next = last.map(|last| Cursor::from_bytes(key(last).as_ref()));
    Page::new(items, next)
}

/// The page of a whole list that is sorted by keys of so many bytes.
pub(super) fn sorted<T, const N: usize>(
    items: impl IntoIterator<Item = T>,
    page: &PageRequest,
    key: impl Fn(&T) -> [u8; N],
) -> Result<Page<T>, Problem> {
    let after = behind::<N>(page)?;
    let rest = items.into_iter().filter(|item| after.is_none_or(|after| key(item) > after));
    Ok(cut(rest, page, &key))
}

/// The page of a whole list, in the order of keys that no two items share, or in its reverse. A cursor whose key begins with another byte
/// is one of another order.
#[cfg(feature = "rbac")]
pub(super) fn ordered<T>(
    items: impl IntoIterator<Item = T>,
    page: &PageRequest,
    is_down: bool,
    key: impl Fn(&T) -> Vec<u8>,
) -> Result<Page<T>, Problem> {
    let mut items: Vec<(Vec<u8>, T)> = items.into_iter().map(|item| (key(&item), item)).collect();
    items.sort_unstable_by(|one, other| {
        let order = one.0.cmp(&other.0);
        if is_down { order.reverse() } else { order }
    });
    let after = page.cursor().map(Cursor::as_bytes);
    if let (Some(after), Some((first, _))) = (after, items.first())
        && after.first() != first.first()
    {
        return Err(none_of_this_list());
    }
    let rest = items.into_iter().filter(|(key, _)| {
        after.is_none_or(|after| if is_down { key.as_slice() < after } else { key.as_slice() > after })
    });
    let page = cut(rest, page, |(key, _)| key.clone());
    Ok(Page::new(page.items.into_iter().map(|(_, item)| item).collect(), page.next))
}

/// A page of a list, as it is answered: `{"items": […], "next": CURSOR or null}`.
#[derive(Debug, Clone, Serialize)]
pub struct Listed<T> {
    items: Vec<T>,
    next: Option<String>,
}

impl<T> Listed<T> {
    /// The page, each item told in its own words.
    pub fn of<D>(page: Page<D>, tell: impl FnMut(D) -> T) -> Self {
        Self {
            items: page.items.into_iter().map(tell).collect(),
            next: page.next.map(|next| next.to_string()),
        }
    }

    /// A list that is short by its nature: all of it.
    #[must_use]
    pub fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

impl<T: ToSchema> ToSchema for Listed<T> {
    fn name() -> std::borrow::Cow<'static, str> {
        format!("{}List", T::name()).into()
    }

    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
}

impl<T: ToSchema> PartialSchema for Listed<T> {
    fn schema() -> RefOr<Schema> {
        let item = utoipa::openapi::Ref::from_schema_name(T::name());
        let next = ObjectBuilder::new()
            .schema_type(SchemaType::Array(vec![Type::String, Type::Null]))
            .description(Some("Where the next page begins; null on the last one."));
        ObjectBuilder::new()
            .description(Some("A page of a list."))
            .property(
                "items",
                ArrayBuilder::new().items(item).description(Some("The items, in the list's order.")),
            )
            .property("next", next)
            .required("items")
            .required("next")
            .into()
    }
}
