//! A pipeline file as it is written, key by key. Says nothing about which keys belong together.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error, MapAccess, SeqAccess, Visitor, value};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::rule::Literal;

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawPipeline {
    pub name: String,
    #[serde(skip_serializing)]
    pub priority: i64,
    #[serde(skip_serializing_if = "Ordered::is_empty")]
    pub vars: Ordered<Many<Scalar>>,
    pub transformations: Vec<RawStep>,
}

/// One transformation: the keys of all types, of which each takes its own.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawStep {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "RawConditions::is_empty")]
    pub rule_conditions: RawConditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_cond_op: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule_cond_expr: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub rule_cond_not: bool,
    #[serde(skip_serializing_if = "RawConditions::is_empty")]
    pub detection_item_conditions: RawConditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection_item_cond_op: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detection_item_cond_expr: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub detection_item_cond_not: bool,
    #[serde(skip_serializing_if = "RawConditions::is_empty")]
    pub field_name_conditions: RawConditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_name_cond_op: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field_name_cond_expr: Option<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub field_name_cond_not: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mapping: Option<Ordered<Many<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suffix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Ordered<Many<Scalar>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negated: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replacement: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skip_special: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpret_special: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub include: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exclude: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub val: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl RawStep {
    /// Takes out the conditions that ask about the rule.
    pub(super) fn apply_always(&mut self) {
        self.rule_conditions = RawConditions::default();
        self.rule_cond_op = None;
        self.rule_cond_expr = None;
        self.rule_cond_not = false;
    }
}

/// One condition of any of the three groups.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawCondition {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Scalar>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cond: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub negate: Option<bool>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(untagged)]
pub(super) enum Scalar {
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    Null,
}

impl Scalar {
    pub(super) fn literal(&self) -> Literal {
        match self {
            Self::Bool(value) => Literal::Bool(*value),
            Self::Integer(value) => Literal::Integer(*value),
            Self::Float(value) => Literal::Float(*value),
            Self::Text(value) => Literal::Text(value.clone()),
            Self::Null => Literal::Null,
        }
    }
}

/// One value or a list of them.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Many<T>(pub Vec<T>);

/// A mapping in the order in which it is written.
#[derive(Clone, Debug)]
pub(super) struct Ordered<V>(pub Vec<(String, V)>);

impl<V> Default for Ordered<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V> Ordered<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, wanted: &str) -> Option<&V> {
        self.0.iter().find(|(key, _)| key == wanted).map(|(_, value)| value)
    }
}

/// Conditions as a list, or as a mapping from names that an expression uses.
#[derive(Clone, Debug, Default)]
pub(super) struct RawConditions {
    pub named: bool,
    pub list: Vec<(String, RawCondition)>,
}

impl RawConditions {
    fn is_empty(&self) -> bool {
        self.list.is_empty()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Many<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct One<T>(PhantomData<T>);
        macro_rules! one {
            ($name:ident, $type:ty, $deserializer:ident) => {
                fn $name<E: Error>(self, value: $type) -> Result<Self::Value, E> {
                    T::deserialize(value::$deserializer::new(value)).map(|value| Many(vec![value]))
                }
            };
        }
        impl<'de, T: Deserialize<'de>> Visitor<'de> for One<T> {
            type Value = Many<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value or a list of values")
            }
            one!(visit_bool, bool, BoolDeserializer);
            one!(visit_i64, i64, I64Deserializer);
            one!(visit_u64, u64, U64Deserializer);
            one!(visit_f64, f64, F64Deserializer);
            one!(visit_str, &str, StrDeserializer);
            fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
                T::deserialize(value::UnitDeserializer::new()).map(|value| Many(vec![value]))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
                let mut out = Vec::new();
                while let Some(value) = values.next_element()? {
                    out.push(value);
                }
                Ok(Many(out))
            }
        }
        deserializer.deserialize_any(One(PhantomData))
    }
}

fn pairs<'de, V: Deserialize<'de>, A: MapAccess<'de>>(mut map: A) -> Result<Vec<(String, V)>, A::Error> {
    let mut out: Vec<(String, V)> = Vec::new();
    let mut seen = rustc_hash::FxHashSet::default();
    while let Some(key) = map.next_key::<String>()? {
        if !seen.insert(key.clone()) {
            return Err(A::Error::custom(format!("duplicate entry `{key}`")));
        }
        out.push((key, map.next_value()?));
    }
    Ok(out)
}

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Ordered<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Pairs<V>(PhantomData<V>);
        impl<'de, V: Deserialize<'de>> Visitor<'de> for Pairs<V> {
            type Value = Ordered<V>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                pairs(map).map(Ordered)
            }
        }
        deserializer.deserialize_map(Pairs(PhantomData))
    }
}

impl<V: Serialize> Serialize for Ordered<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for RawConditions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = RawConditions;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of conditions, or a mapping from names to conditions")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                Ok(RawConditions { named: true, list: pairs(map)? })
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(value) = values.next_element()? {
                    list.push((String::new(), value));
                }
                Ok(RawConditions { named: false, list })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for RawConditions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.named {
            let mut map = serializer.serialize_map(Some(self.list.len()))?;
            for (key, value) in &self.list {
                map.serialize_entry(key, value)?;
            }
            return map.end();
        }
        serializer.collect_seq(self.list.iter().map(|(_, condition)| condition))
    }
}
