//! Readers of every format on the same texts, and on every kind of row that cannot be read.

use std::{fs, path::PathBuf, sync::Arc};

use ::parquet::{
    data_type::{ByteArray, ByteArrayType, Int64Type},
    file::{properties::WriterProperties, writer::SerializedFileWriter},
    schema::parser::parse_message_type,
};
use lexigram_api::text::{TextFields, TextFormat};
use rstest::rstest;
use serde_json::json;

use super::*;
use crate::failure::Classified;

struct Fixture {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Fixture {
    fn new(content: impl AsRef<[u8]>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("input");
        fs::write(&path, content).unwrap();
        Self { _folder: folder, path }
    }

    fn rows(&self, format: TextFormat) -> Rows {
        Rows::File { path: self.path.clone(), format, fields: Arc::new(fields()) }
    }

    /// Each row as `number@line key text metadata`, or its reason and message.
    fn read(&self, format: TextFormat) -> Vec<String> {
        all(&mut *self.rows(format).open().unwrap()).iter().map(describe).collect()
    }
}

fn fields() -> TextFields {
    TextFields {
        text_field: "body".to_owned(),
        id_field: Some("id".to_owned()),
        metadata_fields: vec!["lang".to_owned()],
    }
}

fn all(reader: &mut dyn RowReader) -> Vec<Row> {
    std::iter::from_fn(|| reader.next().unwrap()).collect()
}

fn describe(row: &Row) -> String {
    let (number, line) = (row.position.row + 1, row.position.line + 1);
    match &row.content {
        Ok(Text { key, text, metadata }) => format!("{number}@{line} {key} {text} {}", json!(metadata)),
        Err(error) => format!("{number}@{line} {}: {error}", error.reason()),
    }
}

/// A Parquet file with two row groups: rows with a null, with a text that is not UTF-8, and good ones.
fn parquet_file(texts: &[&[Option<&[u8]>]]) -> Vec<u8> {
    let schema = "message rows { required int64 id; optional binary body (STRING); optional binary lang (STRING); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::new(WriterProperties::default())).unwrap();
    let mut id = 0;
    for texts in texts {
        let mut group = file.next_row_group().unwrap();
        let ids: Vec<i64> = texts
            .iter()
            .map(|_| {
                id += 1;
                id - 1
            })
            .collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
        column.close().unwrap();
        let present: Vec<ByteArray> = texts.iter().flatten().map(|text| ByteArray::from(text.to_vec())).collect();
        let levels: Vec<i16> = texts.iter().map(|text| i16::from(text.is_some())).collect();
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<ByteArrayType>().write_batch(&present, Some(&levels), None).unwrap();
        column.close().unwrap();
        let mut column = group.next_column().unwrap().unwrap();
        let languages: Vec<ByteArray> = texts.iter().map(|_| ByteArray::from("en")).collect();
        column.typed::<ByteArrayType>().write_batch(&languages, Some(&vec![1; texts.len()]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    file.into_inner().unwrap()
}

#[test]
fn lines_are_texts() {
    let file = Fixture::new("first\n\n  \nsecond\r\nlast");
    assert_eq!(file.read(TextFormat::Lines), ["1@1 1 first {}", "2@4 2 second {}", "3@5 3 last {}"]);
}

#[test]
fn json_lines_have_ids_and_metadata() {
    let file = Fixture::new(
        "{\"id\": \"a\", \"body\": \"first\", \"lang\": \"en\", \"other\": 1}\n\n{\"id\": 7, \"body\": \"second\"}\n",
    );
    assert_eq!(file.read(TextFormat::JsonLines), ["1@1 a first {\"lang\":\"en\"}", "2@3 7 second {}"]);
}

#[rstest]
#[case::no_json("{\"body\": ", "RowInvalid", "line 2 is no JSON object (EOF while parsing a value at column 9)")]
#[case::another_value("[1]", "RowInvalid", "line 2 is no JSON object (it is another JSON value)")]
#[case::missing("{\"id\": 1}", "TextMissing", "line 2: the field 'body' is missing")]
#[case::null("{\"id\": 1, \"body\": null}", "TextMissing", "line 2: the field 'body' is null")]
#[case::empty("{\"id\": 1, \"body\": \" \"}", "TextMissing", "line 2: the field 'body' is empty")]
#[case::number(
    "{\"id\": 1, \"body\": 3}",
    "RowInvalid",
    "line 2: the field 'body' is a number; give it a string, or correct spec.input.textField"
)]
#[case::no_id("{\"body\": \"x\"}", "RowInvalid", "line 2: the field 'id' is missing; give it")]
#[case::id_is_no_id(
    "{\"id\": 1.5, \"body\": \"x\"}",
    "RowInvalid",
    "line 2: the field 'id' is a number; give it a string of 1 to 512 bytes or a whole number, or correct spec.input.idField"
)]
fn a_json_line_that_cannot_be_read_names_its_line(#[case] line: &str, #[case] reason: &str, #[case] message: &str) {
    let good = "{\"id\": 1, \"body\": \"good\"}";
    let file = Fixture::new(format!("{good}\n{line}\n{good}\n"));
    let read = file.read(TextFormat::JsonLines);
    assert!(read[1].starts_with(&format!("2@2 {reason}: {message}")), "{}", read[1]);
    assert_eq!((read.len(), read[2].as_str()), (3, "3@3 1 good {}"));
}

#[rstest]
#[case(TextFormat::Lines, "x".repeat(5_000_000))]
#[case(TextFormat::JsonLines, format!("{{\"id\": 1, \"body\": \"{}\"}}", "x".repeat(5_000_000)))]
#[case(TextFormat::JsonLines, format!("{{\"id\": 1, \"body\": \"{}\"}}", "x".repeat(2_000_000)))]
#[case(TextFormat::Csv, format!("1,{},en", "x".repeat(5_000_000)))]
#[case(TextFormat::Csv, format!("1,{},en", "x".repeat(2_000_000)))]
#[case(TextFormat::Csv, "1,".to_owned() + &",".repeat(5000))]
fn a_row_that_is_too_large_is_passed_over(#[case] format: TextFormat, #[case] line: String) {
    let (header, good) = match format {
        TextFormat::Csv => ("id,body,lang\n", "2,good,en"),
        TextFormat::JsonLines => ("", "{\"id\": 2, \"body\": \"good\"}"),
        _ => ("", "good"),
    };
    let read = Fixture::new(format!("{header}{line}\n{good}\n")).read(format);
    assert_eq!(read.len(), 2);
    assert!(read[0].contains("TextTooLarge: line"), "{}", &read[0][..100]);
    assert!(read[1].starts_with("2@") && read[1].contains("good"), "{}", read[1]);
}

#[rstest]
#[case(TextFormat::Lines, b"\xff\xfe\ngood\n".as_slice())]
#[case(TextFormat::JsonLines, b"{\"id\": 1, \"body\": \"\xff\"}\n{\"id\": 2, \"body\": \"good\"}\n".as_slice())]
#[case(TextFormat::Csv, b"id,body,lang\n1,\xff,en\n2,good,en\n".as_slice())]
fn what_is_not_utf8_is_said_to_be_so(#[case] format: TextFormat, #[case] content: &[u8]) {
    let read = Fixture::new(content).read(format);
    assert!(read[0].contains("RowInvalid: line") && read[0].contains("is not UTF-8"), "{}", read[0]);
    assert!(read[1].contains("good"), "{}", read[1]);
}

#[test]
fn csv_rows_may_reach_over_lines() {
    let file = Fixture::new(
        "\u{feff}id,body,lang\r\na,\"one\r\ntwo, \"\"three\"\"\",en\r\n\r\nb,plain,de\r\nc,,de\r\nd,too,many,fields\r\n",
    );
    let read = file.read(TextFormat::Csv);
    assert_eq!(read[0], "1@2 a one\r\ntwo, \"three\" {\"lang\":\"en\"}");
    assert_eq!(read[1], "2@5 b plain {\"lang\":\"de\"}");
    assert!(read[2].starts_with("3@6 TextMissing: line 6: the field 'body' is empty"), "{}", read[2]);
    assert!(
        read[3]
            .starts_with("4@7 RowInvalid: line 7 is no CSV row of this file (it has 4 fields, and the header has 3)"),
        "{}",
        read[3]
    );
}

#[test]
fn parquet_rows_are_read_over_row_groups() {
    let groups: [&[Option<&[u8]>]; 2] = [&[Some(b"first"), None], &[Some(b"\xff\xfe"), Some(b"last")]];
    let file = Fixture::new(parquet_file(&groups));
    let read = file.read(TextFormat::Parquet);
    assert_eq!((read.len(), read[0].as_str()), (4, "1@1 0 first {\"lang\":\"en\"}"));
    assert!(read[1].starts_with("2@2 TextMissing: row 2: the field 'body' is null"), "{}", read[1]);
    assert!(read[2].starts_with("3@3 RowInvalid: row 3 is not UTF-8"), "{}", read[2]);
    assert_eq!(read[3], "4@4 3 last {\"lang\":\"en\"}");
}

#[rstest]
#[case::lines(TextFormat::Lines)]
#[case::jsonl(TextFormat::JsonLines)]
#[case::csv(TextFormat::Csv)]
#[case::parquet(TextFormat::Parquet)]
fn any_row_can_be_gone_to(#[case] format: TextFormat) {
    let texts: Vec<String> = (0..300).map(|number| format!("text {number}")).collect();
    let file = Fixture::new(match format {
        TextFormat::Lines => texts.join("\n\n").into_bytes(),
        TextFormat::JsonLines => {
            let lines = texts.iter().enumerate().map(|(id, text)| json!({ "id": id, "body": text }).to_string() + "\n");
            lines.collect::<String>().into_bytes()
        }
        TextFormat::Csv => {
            let lines = texts.iter().enumerate().map(|(id, text)| format!("{id},\"{text}\n\",en\r\n"));
            format!("id,body,lang\r\n{}", lines.collect::<String>()).into_bytes()
        }
        TextFormat::Parquet => {
            let texts: Vec<Option<&[u8]>> = texts.iter().map(|text| Some(text.as_bytes())).collect();
            parquet_file(&[&texts[..130], &texts[130..]])
        }
    });
    let rows = file.rows(format);
    let mut reader = rows.open().unwrap();
    let read = all(&mut *reader);
    assert_eq!(read.len(), 300);
    for number in [299, 0, 150, 151, 64, 129, 130] {
        reader.seek(read[number].position).unwrap();
        assert_eq!(reader.next().unwrap().as_ref(), Some(&read[number]), "row {number}");
    }
    assert_eq!(all(&mut *reader).len(), 169, "and on from there");
}

#[rstest]
#[case::csv(TextFormat::Csv, b"id,text\n1,x\n".to_vec())]
#[case::parquet(TextFormat::Parquet, parquet_file(&[&[Some(b"x")]]))]
fn a_field_that_is_nowhere_is_an_error_of_the_input(#[case] format: TextFormat, #[case] content: Vec<u8>) {
    let file = Fixture::new(content);
    let fields = TextFields { text_field: "content".to_owned(), ..fields() };
    let rows = Rows::File { path: file.path.clone(), format, fields: Arc::new(fields) };
    let message = rows.open().err().unwrap().to_string();
    assert!(message.starts_with("spec.input.textField: the input has no field 'content'; it has 'id', "), "{message}");
}

#[test]
fn what_is_no_parquet_is_refused() {
    let error = Fixture::new("no parquet").rows(TextFormat::Parquet).open().err().unwrap();
    assert_eq!(error.reason(), "InputUnreadable");
}

#[test]
fn rows_that_differ_have_other_hashes() {
    let read = |line: &str| all(&mut *Fixture::new(line).rows(TextFormat::JsonLines).open().unwrap())[0].hash();
    let hash = read("{\"id\": 1, \"body\": \"x\", \"lang\": \"en\"}");
    assert_eq!(hash, read("{\"id\": 1, \"other\": 2, \"body\": \"x\", \"lang\": \"en\"}"));
    for other in [
        "{\"id\": 2, \"body\": \"x\", \"lang\": \"en\"}",
        "{\"id\": 1, \"body\": \"y\", \"lang\": \"en\"}",
        "{\"id\": 1, \"body\": \"x\", \"lang\": \"de\"}",
        "{\"id\": 1}",
    ] {
        assert_ne!(hash, read(other));
    }
}

fn place() -> Place {
    Place::new(true, Position { row: 0, line: 0, byte: 0 })
}

crate::failure::tests::classification!(each_error_has_its_category: RowError {
    RowError::Malformed { .. } = RowError::Malformed { place: place(), kind: "row", problem: String::new() } => InvalidInput, "RowInvalid";
    RowError::NotUtf8 { .. } = RowError::NotUtf8 { place: place() } => InvalidInput, "RowInvalid";
    RowError::WrongType { .. } = RowError::WrongType { place: place(), field: String::new(), found: "", wanted: "", setting: "" } => InvalidInput, "RowInvalid";
    RowError::TextMissing { .. } = RowError::TextMissing { place: place(), field: String::new(), found: "null" } => InvalidInput, "TextMissing";
    RowError::TextTooLarge { .. } = RowError::TextTooLarge { place: place(), what: "row", bytes: 2, limit: 1, hint: "" } => InvalidInput, "TextTooLarge";
    RowError::DuplicateId { .. } = RowError::DuplicateId { place: place(), key: String::new() } => InvalidInput, "DuplicateId";
    RowError::Gone { .. } = RowError::Gone { place: place() } => InvalidInput, "RowGone";
});
