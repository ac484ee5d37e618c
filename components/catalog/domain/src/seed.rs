//! What a new catalog begins with: a dozen products, so that a newcomer's first request shows a shop.

use std::time::Duration;

use crate::port::Ids;
use crate::product::{Details, DetailsInput, Product, Stock};
use crate::time::Timestamp;
use crate::violation::Invalid;

struct Seed {
    on_hand: u32,
    details: DetailsInput<'static>,
}

const fn seed(
    sku: &'static str,
    category: &'static str,
    amount: i64,
    on_hand: u32,
    name: &'static str,
    description: &'static str,
) -> Seed {
    let details = DetailsInput {
        sku,
        name,
        description,
        category,
        amount,
        currency: "EUR",
    };
    Seed { on_hand, details }
}

const SEEDS: [Seed; 12] = [
    seed(
        "LGT-0101",
        "lighting",
        8900,
        42,
        "Arc desk lamp",
        "Aluminium desk lamp with a hinged arm, a warm-white LED and a dimmer in its foot.",
    ),
    seed(
        "LGT-0102",
        "lighting",
        4950,
        120,
        "Linen pendant shade",
        "Hand-sewn lampshade of undyed linen, 40 cm across. Ceiling cable sold separately.",
    ),
    seed(
        "KIT-0201",
        "kitchen",
        12900,
        18,
        "Cast-iron casserole, 4.5 litres",
        "Enamelled cast iron for hob and oven. Heavy, even heat, and a lid that bastes.",
    ),
    seed(
        "KIT-0202",
        "kitchen",
        3400,
        260,
        "Carbon-steel chef's knife",
        "A 20 cm blade that takes a fine edge and, with use, a grey patina. Oil it, do not leave it wet.",
    ),
    seed(
        "KIT-0203",
        "kitchen",
        1890,
        0,
        "Hand coffee grinder",
        "Steel conical burrs and fourteen steps, from espresso to French press. 30 g at a time.",
    ),
    seed(
        "STA-0301",
        "stationery",
        1450,
        500,
        "Dotted notebook, A5",
        "192 numbered pages of 100 g paper that lies flat and takes a fountain pen.",
    ),
    seed(
        "STA-0302",
        "stationery",
        3900,
        75,
        "Brass fountain pen",
        "Solid brass, medium steel nib, with a converter. Darkens where you hold it.",
    ),
    seed(
        "OUT-0401",
        "outdoor",
        21900,
        9,
        "Two-person trekking tent",
        "1.9 kg with poles and pegs; two doors, two porches, and up in five minutes.",
    ),
    seed(
        "OUT-0402",
        "outdoor",
        2750,
        180,
        "Insulated steel bottle, 750 ml",
        "Keeps tea hot for twelve hours and water cold for a day. Fits a bicycle's bottle cage.",
    ),
    seed(
        "AUD-0501",
        "audio",
        17900,
        33,
        "Closed-back headphones",
        "Replaceable ear pads, cable and headband; 32 ohms, at home on a telephone and on a desk.",
    ),
    seed(
        "AUD-0502",
        "audio",
        6490,
        60,
        "Pocket radio, FM and DAB+",
        "A speaker larger than it looks, buttons that click, and twenty hours to a charge.",
    ),
    seed(
        "FUR-0601",
        "furniture",
        34900,
        5,
        "Oak stool",
        "Three legs, one seat, no screws. Oiled European oak, 45 cm high.",
    ),
];

/// The products, created one after another up to now, so that they are listed in this order.
///
/// # Errors
/// None, as a test shows: they are all valid.
pub fn products(ids: &impl Ids, now: Timestamp) -> Result<Vec<Product>, Invalid> {
    let product = |(seed, ahead): (&Seed, u64)| {
        let created_at = now.before(Duration::from_millis(ahead));
        Ok(Product {
            id: ids.product(created_at),
            details: Details::parse(&seed.details)?,
            stock: Stock {
                on_hand: seed.on_hand,
                held: 0,
            },
            created_at,
            updated_at: created_at,
            version: 1,
        })
    };
    let ahead = (0..SEEDS.len() as u64).rev();
    SEEDS.iter().zip(ahead).map(product).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::memory::CountedIds;

    #[test]
    fn a_dozen_valid_products_of_several_categories_with_their_own_skus() {
        let products = products(&CountedIds::default(), Timestamp::from_millis(1_000)).unwrap();
        let distinct = |of: fn(&Product) -> &str| products.iter().map(of).collect::<BTreeSet<_>>().len();
        assert_eq!(products.len(), 12);
        assert_eq!(distinct(|p| p.details.sku.as_str()), 12);
        assert_eq!(distinct(|p| p.details.name.as_str()), 12);
        assert!(distinct(|p| p.details.category.as_str()) >= 5);
        assert!(products.iter().any(|p| p.stock.available() == 0));
        assert!(products.is_sorted_by(|a, b| a.created_at < b.created_at && a.id < b.id));
    }
}
