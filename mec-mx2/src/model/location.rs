//! Places: a country, an address or an area (MEC 016 LocationConstraints), and which lies in which.

use serde_json::{Map, Value, json};

use super::area::{Area, Ring};
use super::reader::{Faults, Object};

/// Civic address elements that a place may have.
const MAX_CIVIC: usize = 32;
/// Points that an area may have, and all areas of a request together.
pub(super) const MAX_POINTS: usize = 1024;
const MAX_RINGS: usize = 16;
/// Longest civic value, in characters.
const MAX_CIVIC_CHARS: usize = 255;

/// One element of a civic address (RFC 4776, section 3.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CivicElement {
    /// What it says: 1 is the state, 3 the city, 6 the street, and so on.
    pub ca_type: u32,
    /// What it says it is.
    pub ca_value: String,
}

/// A place. At least one member is there; address and area exclude each other.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LocationConstraints {
    /// Two capital letters (ISO 3166).
    pub country: Option<String>,
    /// Within that country.
    pub civic: Vec<CivicElement>,
    /// A polygon.
    pub area: Option<Area>,
}

impl LocationConstraints {
    /// Reads the object that `object` is.
    pub(crate) fn read(object: &Object<'_>, faults: &mut Faults) -> Option<Self> {
        let country = object.text("countryCode", 2, faults);
        if let Some(code) = country
            && !(code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()))
        {
            faults.add(object.at("countryCode"), "must be two capital letters");
        }
        let civic = civic(object, faults);
        let area = object.object("area", faults);
        let area = area.and_then(|area| polygon(&area, faults));
        if country.is_none() && object.get("area").is_none() {
            faults.add(
                object.at("countryCode"),
                "is required unless there is an area",
            );
        }
        if object.get("area").is_some() && object.get("civicAddressElement").is_some() {
            faults.add(
                object.at("civicAddressElement"),
                "must not be there beside an area",
            );
        }
        Some(Self {
            country: country.map(str::to_owned),
            civic,
            area,
        })
    }

    /// Reads a place from JSON text.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(value: &Value) -> Result<Self, super::Problem> {
        let mut faults = Faults::default();
        let read = match value {
            Value::Object(members) => Self::read(&Object::new(members, ""), &mut faults),
            _ => {
                faults.add("", "must be an object");
                None
            }
        };
        faults.none_or(read)
    }

    /// As JSON.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        if let Some(country) = &self.country {
            object.insert("countryCode".to_owned(), json!(country));
        }
        if !self.civic.is_empty() {
            let civic = self.civic.iter();
            let civic = civic.map(|e| json!({"caType": e.ca_type, "caValue": e.ca_value}));
            object.insert("civicAddressElement".to_owned(), civic.collect());
        }
        if let Some(area) = &self.area {
            let area = json!({"type": "Polygon", "coordinates": area.rings()});
            object.insert("area".to_owned(), area);
        }
        Value::Object(object)
    }

    /// Whether a computer at `place` satisfies who asks for `self`: same country, every
    /// civic element that is asked for, and its area within the one asked for. What `place`
    /// does not say cannot be satisfied.
    pub fn admits(&self, place: &Self) -> bool {
        let country = match (&self.country, &place.country) {
            (None, _) => true,
            (Some(wanted), Some(there)) => wanted == there,
            // An area without a country says where it is well enough.
            (Some(_), None) => self.area.is_some() && place.area.is_some(),
        };
        country
            && self.civic.iter().all(|wanted| {
                let mut there = place.civic.iter();
                there.any(|e| e.ca_type == wanted.ca_type && same(&e.ca_value, &wanted.ca_value))
            })
            && match (&self.area, &place.area) {
                (None, _) => true,
                (Some(_), None) => false,
                (Some(wanted), Some(there)) => wanted.contains(there),
            }
    }

    /// How many points its area is of.
    pub(super) fn num_points(&self) -> usize {
        self.area.as_ref().map_or(0, Area::num_points)
    }
}

/// Whether two texts differ in case alone.
fn same(one: &str, other: &str) -> bool {
    // By way of capitals, since some letters have two small ones.
    fn folded(text: &str) -> impl Iterator<Item = char> {
        let capitals = text.chars().flat_map(char::to_uppercase);
        capitals.flat_map(char::to_lowercase)
    }
    folded(one).eq(folded(other))
}

fn civic(object: &Object<'_>, faults: &mut Faults) -> Vec<CivicElement> {
    let elements = object
        .objects("civicAddressElement", faults)
        .unwrap_or_default();
    if elements.len() > MAX_CIVIC {
        faults.add(
            object.at("civicAddressElement"),
            "must have at most 32 elements",
        );
    }
    let read = elements.iter().filter_map(|element| {
        let before = element.get("caType").is_none();
        if before {
            faults.add(element.at("caType"), "is required");
        }
        let ca_type = element.number("caType", faults);
        let ca_value = element.required_text(&["caValue"], MAX_CIVIC_CHARS, faults);
        Some(CivicElement {
            ca_type: ca_type?,
            ca_value: ca_value?.to_owned(),
        })
    });
    read.collect()
}

fn polygon(area: &Object<'_>, faults: &mut Faults) -> Option<Area> {
    if let Some(kind) = area.text("type", 32, faults)
        && kind != "Polygon"
    {
        faults.add(area.at("type"), "must be Polygon");
    }
    let at = area.at("coordinates");
    let Some(rings) = area.array("coordinates", faults) else {
        if area.get("coordinates").is_none() {
            faults.add(at, "is required");
        }
        return None;
    };
    if rings.is_empty() || rings.len() > MAX_RINGS {
        faults.add(at, "must have from 1 to 16 rings");
        return None;
    }
    let points = rings.iter().filter_map(Value::as_array).map(Vec::len);
    if points.sum::<usize>() > MAX_POINTS {
        faults.add(
            at,
            "must have at most 1024 points, those of all rings together",
        );
        return None;
    }
    let mut read = Vec::with_capacity(rings.len());
    for (index, ring) in rings.iter().enumerate() {
        match self::ring(ring) {
            Ok(ring) => read.push(ring),
            Err(reason) => faults.add(format!("{at}/{index}"), reason),
        }
    }
    Area::new(read)
}

fn ring(value: &Value) -> Result<Ring, &'static str> {
    let points = value.as_array().ok_or("must be an array of points")?;
    if points.len() < 4 {
        return Err("must have at least 4 points");
    }
    let ring: Ring = points.iter().map(point).collect::<Option<_>>().ok_or(
        "must be of points, each an array of a longitude from -180 to 180 and a latitude from -90 to 90",
    )?;
    if ring.first() != ring.last() {
        return Err("must end where it begins");
    }
    Ok(ring)
}

fn point(value: &Value) -> Option<[f64; 2]> {
    let numbers = value.as_array()?;
    // A height may follow.
    if !(2..=3).contains(&numbers.len()) || !numbers.iter().all(Value::is_number) {
        return None;
    }
    let (x, y) = (numbers[0].as_f64()?, numbers[1].as_f64()?);
    (x.abs() <= 180.0 && y.abs() <= 90.0).then_some([x, y])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(value: impl std::borrow::Borrow<Value>) -> LocationConstraints {
        LocationConstraints::from_json(value.borrow()).unwrap()
    }

    fn square(x: f64, size: f64) -> Value {
        json!([
            [x, 0.0],
            [x + size, 0.0],
            [x + size, size],
            [x, size],
            [x, 0.0]
        ])
    }

    #[test]
    fn names_match_whatever_their_case() {
        assert!(same("PISA", "Pisa") && same("ΟΔΟΣ", "οδος") && same("Οδός", "οδόσ"));
        assert!(!same("Pisa", "Pis") && !same("", "P"));
    }

    #[test]
    fn countries_and_addresses_match_by_what_was_asked_for() {
        let pisa = place(json!({"countryCode": "IT",
            "civicAddressElement": [{"caType": 3, "caValue": "Pisa"}, {"caType": 6, "caValue": "Via Moruzzi"}]}));
        assert!(place(json!({"countryCode": "IT"})).admits(&pisa));
        assert!(!place(json!({"countryCode": "FR"})).admits(&pisa));
        let asked = |city: &str| {
            place(
                json!({"countryCode": "IT", "civicAddressElement": [{"caType": 3, "caValue": city}]}),
            )
        };
        assert!(asked("PISA").admits(&pisa));
        assert!(!asked("Lucca").admits(&pisa));
        assert!(!asked("Pisa").admits(&place(json!({"countryCode": "IT"}))));
    }

    #[test]
    fn areas_contain_areas_unless_they_stick_out_or_sit_in_a_hole() {
        let area = |rings: Vec<Value>| place(json!({"area": {"coordinates": rings}}));
        let large = area(vec![square(0.0, 10.0)]);
        let small = area(vec![square(1.0, 1.0)]);
        assert!(large.admits(&small) && large.admits(&large));
        assert!(!small.admits(&large));
        assert!(!large.admits(&area(vec![square(9.5, 1.0)])));
        let ring = area(vec![square(0.0, 10.0), square(0.5, 5.0)]);
        assert!(!ring.admits(&small));
        assert!(!large.admits(&place(json!({"countryCode": "IT"}))));
    }

    #[test]
    fn what_is_no_place_is_named() {
        for (value, name) in [
            (json!({}), "/countryCode"),
            (json!({"countryCode": "it"}), "/countryCode"),
            (json!({"countryCode": "IT", "area": 1}), "/area"),
            (json!({"area": {}}), "/area/coordinates"),
            (
                json!({"area": {"type": "Point", "coordinates": [square(0.0, 1.0)]}}),
                "/area/type",
            ),
            (
                json!({"area": {"coordinates": [[[0, 0]]]}}),
                "/area/coordinates/0",
            ),
            (
                json!({"area": {"coordinates": vec![vec![[0, 0]; 600]; 2]}}),
                "/area/coordinates",
            ),
            (
                json!({"countryCode": "IT", "civicAddressElement": [{"caType": 1}]}),
                "/civicAddressElement/0/caValue",
            ),
        ] {
            let problem = LocationConstraints::from_json(&value).unwrap_err();
            assert_eq!(problem.faults[0].name, name, "{value}");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for value in [
            json!({"countryCode": "IT", "civicAddressElement": [{"caType": 1, "caValue": "x"}]}),
            json!({"area": {"type": "Polygon", "coordinates": [square(0.0, 1.0)]}}),
        ] {
            assert_eq!(place(value.clone()).to_json(), value);
        }
    }
}
