//! How an event becomes fields of Tantivy. Made from the catalogue when a partition is made; a partition keeps the
//! schema that it was made with, and what it has no column for is read from the stored events.

use canh_schema::{FieldId, FieldKind, field};
use canh_store::tokens::Words;
use canh_store::{FieldRef, Pseudo};
use tantivy::schema::{BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use tantivy::store::{Compressor, ZstdCompressor};
use tantivy::tokenizer::{Token, TokenStream, Tokenizer, TokenizerManager};
use tantivy::{IndexSettings, TantivyError};

pub(crate) const TIME: &str = "ts";
pub(crate) const BATCH: &str = "batch";
pub(crate) const PLACE: &str = "index";
const TEXT: &str = "text";
const KEYS: &str = "kv";
const EVENT: &str = "event";
const WORDS: &str = "canh_words_1";

/// Keyword fields whose values mostly differ from event to event: a column would be as large as the values.
const WIDE: [FieldId; 10] = [
    field::PROCESS_COMMAND_LINE,
    field::PROCESS_PARENT_COMMAND_LINE,
    field::URL_ORIGINAL,
    field::URL_QUERY,
    field::HTTP_REFERRER,
    field::REGISTRY_PATH,
    field::NETWORK_COMMUNITY_ID,
    field::HASH_MD5,
    field::HASH_SHA1,
    field::HASH_SHA256,
];

/// Pseudo fields that have a column.
pub(crate) const PSEUDO_COLUMNS: [Pseudo; 4] = [Pseudo::Product, Pseudo::Service, Pseudo::Category, Pseudo::Issue];

/// How the values of a field lie in a column.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ColumnKind {
    Text,
    Integer,
    Float,
}

/// The kind of column that a field gets in new partitions.
fn column_kind(field: FieldId) -> Option<ColumnKind> {
    match field.kind() {
        FieldKind::Keyword | FieldKind::Bool if WIDE.contains(&field) => None,
        FieldKind::Keyword | FieldKind::Bool | FieldKind::Ip => Some(ColumnKind::Text),
        FieldKind::Integer | FieldKind::Time => Some(ColumnKind::Integer),
        FieldKind::Float => Some(ColumnKind::Float),
        FieldKind::Text => None,
    }
}

pub(crate) fn build() -> Schema {
    let mut schema = Schema::builder();
    let words = TextFieldIndexing::default()
        .set_tokenizer(WORDS)
        .set_fieldnorms(false)
        .set_index_option(IndexRecordOption::WithFreqsAndPositions);
    schema.add_text_field(TEXT, TextOptions::default().set_indexing_options(words));
    schema.add_bytes_field(KEYS, BytesOptions::default().set_indexed());
    schema.add_bytes_field(EVENT, BytesOptions::default().set_stored());
    schema.add_i64_field(TIME, NumericOptions::default().set_fast());
    schema.add_bytes_field(BATCH, BytesOptions::default().set_fast());
    schema.add_u64_field(PLACE, NumericOptions::default().set_fast());
    let text_column = || TextOptions::default().set_fast("raw");
    for pseudo in PSEUDO_COLUMNS {
        schema.add_text_field(&pseudo_column(pseudo), text_column());
    }
    for field in FieldId::all() {
        match column_kind(field) {
            Some(ColumnKind::Text) => schema.add_text_field(field.name(), text_column()),
            Some(ColumnKind::Integer) => schema.add_i64_field(field.name(), NumericOptions::default().set_fast()),
            Some(ColumnKind::Float) => schema.add_f64_field(field.name(), NumericOptions::default().set_fast()),
            None => continue,
        };
    }
    schema.build()
}

fn pseudo_column(pseudo: Pseudo) -> String {
    format!("p_{}", pseudo.name())
}

pub(crate) fn settings() -> IndexSettings {
    IndexSettings {
        docstore_compression: Compressor::Zstd(ZstdCompressor { compression_level: Some(3) }),
        docstore_blocksize: 64 * 1024,
        docstore_compress_dedicated_thread: false,
        ..IndexSettings::default()
    }
}

pub(crate) fn tokenizers() -> TokenizerManager {
    let manager = TokenizerManager::default();
    manager.register(WORDS, WordTokenizer);
    manager
}

/// The fields of one partition's schema.
#[derive(Clone, Debug)]
pub(crate) struct Fields {
    pub(crate) text: Field,
    pub(crate) keys: Field,
    pub(crate) event: Field,
    pub(crate) time: Field,
    pub(crate) batch: Field,
    pub(crate) place: Field,
    /// By row of the catalogue.
    columns: Vec<Option<(Field, ColumnKind)>>,
    pseudo: [Option<Field>; PSEUDO_COLUMNS.len()],
}

impl Fields {
    /// # Errors
    ///
    /// The schema is none of ours.
    pub(crate) fn of(schema: &Schema) -> Result<Self, TantivyError> {
        let column = |field: FieldId| {
            let found = schema.get_field(field.name()).ok()?;
            let entry = schema.get_field_entry(found);
            let kind = column_kind(field)?;
            let same = match kind {
                ColumnKind::Text => entry.field_type().is_str(),
                ColumnKind::Integer => matches!(entry.field_type(), tantivy::schema::FieldType::I64(_)),
                ColumnKind::Float => matches!(entry.field_type(), tantivy::schema::FieldType::F64(_)),
            };
            (same && entry.is_fast()).then_some((found, kind))
        };
        Ok(Self {
            text: schema.get_field(TEXT)?,
            keys: schema.get_field(KEYS)?,
            event: schema.get_field(EVENT)?,
            time: schema.get_field(TIME)?,
            batch: schema.get_field(BATCH)?,
            place: schema.get_field(PLACE)?,
            columns: FieldId::all().map(column).collect(),
            pseudo: PSEUDO_COLUMNS.map(|pseudo| schema.get_field(&pseudo_column(pseudo)).ok()),
        })
    }

    pub(crate) fn column(&self, field: FieldId) -> Option<(Field, ColumnKind)> {
        self.columns.get(field.row()).copied().flatten()
    }

    pub(crate) fn pseudo(&self, pseudo: Pseudo) -> Option<Field> {
        let place = PSEUDO_COLUMNS.iter().position(|column| *column == pseudo)?;
        self.pseudo.get(place).copied().flatten()
    }

    /// The column of any field, if it has one.
    pub(crate) fn column_of(&self, field: &FieldRef) -> Option<(Field, ColumnKind)> {
        match field {
            FieldRef::Catalogue(field) => self.column(*field),
            FieldRef::Pseudo(pseudo) => self.pseudo(*pseudo).map(|field| (field, ColumnKind::Text)),
            FieldRef::Attr(_) => None,
        }
    }
}

/// [`Words`] in the form that Tantivy asks for.
#[derive(Clone)]
struct WordTokenizer;

struct WordStream<'a> {
    words: Words<'a>,
    token: Token,
}

impl Tokenizer for WordTokenizer {
    type TokenStream<'a> = WordStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream<'a> {
        WordStream { words: Words::new(text), token: Token::default() }
    }
}

impl TokenStream for WordStream<'_> {
    fn advance(&mut self) -> bool {
        if !self.words.advance() {
            return false;
        }
        self.token.text.clear();
        self.token.text.push_str(self.words.word());
        (self.token.offset_from, self.token.offset_to) = self.words.span();
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
