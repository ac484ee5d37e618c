//! `/catalog/products`.

use bytes::Bytes;
use catalog_domain::money::parse_amount;
use catalog_domain::page::{Limit, Query, Sort};
use catalog_domain::port::{Clock, Ids, Store};
use catalog_domain::product::{Details, Product, parse_on_hand};
use catalog_domain::tag::{Expected, Tag};
use catalog_domain::text::{Category, Search};
use catalog_domain::violation::Invalid;
use http::header::{HeaderMap, HeaderValue};
use http::{Request, StatusCode};
use http_body::Body;
use rest::precondition::{Condition, if_none_match, required_if_match};
use rest::response::{ResponseExt, no_content, not_modified};
use rest::{Match, Problem, Response, json, read_json, read_query};
use serde::Deserialize;

use crate::access::keys::Fetch;

use super::document::{NewProduct, PageOut, ProductOut, ProductUpdate, StockUpdate, position};
use super::refusal::{bad_query, problem, unprocessable};
use super::{BODY_MAX, Edge, no_parameters};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    q: Option<String>,
    category: Option<String>,
    min_price: Option<i64>,
    max_price: Option<i64>,
    in_stock: Option<bool>,
    sort: Option<SortParameter>,
    limit: Option<i64>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SortParameter {
    Name,
    Price,
    Created,
}

impl From<SortParameter> for Sort {
    fn from(sort: SortParameter) -> Self {
        match sort {
            SortParameter::Name => Self::Name,
            SortParameter::Price => Self::Price,
            SortParameter::Created => Self::Created,
        }
    }
}

impl ListParameters {
    fn query(self) -> Result<Query, Problem> {
        Ok(Query {
            search: parameter("q", self.q, |text| Search::parse(&text))?,
            category: parameter("category", self.category, |text| Category::parse(&text))?,
            min_price: parameter("min_price", self.min_price, parse_amount)?,
            max_price: parameter("max_price", self.max_price, parse_amount)?,
            in_stock: self.in_stock,
            sort: self.sort.map(Sort::from).unwrap_or_default(),
            after: self.cursor.as_deref().map(position).transpose()?,
            limit: parameter("limit", self.limit, Limit::parse)?.unwrap_or_default(),
        })
    }
}

fn parameter<T, U>(
    name: &str,
    value: Option<T>,
    parse: impl FnOnce(T) -> Result<U, String>,
) -> Result<Option<U>, Problem> {
    let parsed = value.map(parse).transpose();
    parsed.map_err(|detail| bad_query(&Invalid::one(name, detail)))
}

impl<S: Store, C: Clock, I: Ids, F: Fetch> Edge<S, C, I, F> {
    pub(super) async fn list_products<B>(&self, request: &Request<B>) -> Result<Response, Problem> {
        let query = read_query::<ListParameters>(request.uri())?.query()?;
        // Checked here too, to be told about parameters and not about a body.
        let query = query.check().map_err(|invalid| bad_query(&invalid))?;
        let page = self.catalog.list(query).await.map_err(problem)?;
        Ok(json(StatusCode::OK, &PageOut::from(&page)).with_cache_control("no-cache"))
    }

    pub(super) async fn get_product<B>(
        &self,
        request: &Request<B>,
        found: &Match,
    ) -> Result<Response, Problem> {
        no_parameters(request)?;
        let condition = if_none_match(request.headers())?;
        let product = self.catalog.product(found.param("id")).await.map_err(problem)?;
        let current = product.tag().to_string();
        let fresh = match condition {
            Condition::None => false,
            Condition::Any => true,
            Condition::Tags(tags) => tags.iter().any(|tag| tag.opaque == current),
        };
        if fresh {
            return Ok(not_modified(etag(&product)).with_cache_control("no-cache"));
        }
        Ok(shown(StatusCode::OK, &product))
    }

    pub(super) async fn create_product<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
    ) -> Result<Response, Problem> {
        let new: NewProduct = read_json(request, BODY_MAX).await?;
        let details = Details::parse(&new.details()).map_err(|invalid| unprocessable(&invalid))?;
        let on_hand = parse_on_hand("/stock", new.stock).map_err(|invalid| unprocessable(&invalid))?;
        let product = self.catalog.create(details, on_hand).await.map_err(problem)?;
        let location = format!("/catalog/products/{}", product.id);
        Ok(shown(StatusCode::CREATED, &product).with_location(&location))
    }

    pub(super) async fn update_product<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        found: &Match,
    ) -> Result<Response, Problem> {
        let expected = expected(request.headers())?;
        let update: ProductUpdate = read_json(request, BODY_MAX).await?;
        let details = Details::parse(&update.details()).map_err(|invalid| unprocessable(&invalid))?;
        let updated = self.catalog.update(found.param("id"), &expected, details).await;
        Ok(shown(StatusCode::OK, &updated.map_err(problem)?))
    }

    pub(super) async fn delete_product<B>(
        &self,
        request: &Request<B>,
        found: &Match,
    ) -> Result<Response, Problem> {
        let expected = expected(request.headers())?;
        self.catalog
            .delete(found.param("id"), &expected)
            .await
            .map_err(problem)?;
        Ok(no_content())
    }

    pub(super) async fn set_stock<B: Body<Data = Bytes>>(
        &self,
        request: Request<B>,
        found: &Match,
    ) -> Result<Response, Problem> {
        let update: StockUpdate = read_json(request, BODY_MAX).await?;
        let on_hand = parse_on_hand("/on_hand", update.on_hand).map_err(|invalid| unprocessable(&invalid))?;
        let counted = self.catalog.set_on_hand(found.param("id"), on_hand).await;
        Ok(shown(StatusCode::OK, &counted.map_err(problem)?))
    }
}

/// What `If-Match` allows to overwrite. Weak tags match nothing (RFC 9110, section 13.1.1), and neither do
/// tags that did not come from here.
fn expected(headers: &HeaderMap) -> Result<Expected, Problem> {
    Ok(match required_if_match(headers)? {
        Condition::None => Expected::OneOf(Vec::new()),
        Condition::Any => Expected::Any,
        Condition::Tags(tags) => {
            let strong = tags.iter().filter(|tag| !tag.weak);
            Expected::OneOf(strong.filter_map(|tag| Tag::parse(&tag.opaque)).collect())
        }
    })
}

fn shown(status: StatusCode, product: &Product) -> Response {
    json(status, &ProductOut::from(product))
        .with_etag(etag(product))
        .with_cache_control("no-cache")
}

fn etag(product: &Product) -> HeaderValue {
    // Digits, hyphens and quotes are always a valid field value.
    HeaderValue::from_str(&format!("\"{}\"", product.tag())).unwrap_or(HeaderValue::from_static("\"\""))
}
