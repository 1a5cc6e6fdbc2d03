"""The formats of text files: how each gives its values, and what it refuses."""

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from ganlm_core.data.formats import READERS, Record, format_of, is_packed, looks_like, read_plain, unpacked
from ganlm_core.data.options import FileOptions
from ganlm_core.errors import DataError, GanlmError


def read(ending: str, data: str, **options: object) -> list[str]:
    return [record.text for record in records(ending, data, **options)]


def records(ending: str, data: str, **options: object) -> list[Record]:
    text = io.TextIOWrapper(io.BytesIO(data.encode()), encoding="utf-8-sig", newline="\n")
    return [*READERS.get(ending, read_plain)("file", text, FileOptions(**options))]  # type: ignore[arg-type]


def refusal(ending: str, data: str, **options: object) -> str:
    with pytest.raises(GanlmError) as caught:
        read(ending, data, **options)
    return str(caught.value)


@pytest.mark.parametrize(
    ("path", "ending"),
    [
        ("a.csv", ".csv"),
        ("LINES.TSV.GZ", ".tsv"),
        ("a/b.c/D.Json", ".json"),
        ("x.jsonl.gz", ".jsonl"),
        ("x.ndjson", ".ndjson"),
        (".csv", ".csv"),
        ("a.txt", ""),
        ("a.csv.txt", ""),
        ("folder.csv/file", ""),
        ("a.gz", ""),
        ("-", ""),
    ],
)
def test_the_format_is_read_from_the_ending_in_small_or_capital_letters(path: str, ending: str) -> None:
    assert format_of(path) == ending


@pytest.mark.parametrize(
    ("name", "packed"), [("a.txt", False), ("a.gz", True), ("A.CSV.GZ", True), ("a.gz.txt", False)]
)
def test_a_packed_file_is_unpacked_by_its_ending(tmp_path: Path, name: str, packed: bool) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(b"a dog\n") if packed else b"a dog\n")
    assert is_packed(path) == is_packed(name) == packed
    with unpacked(path) as file:
        assert file.read() == b"a dog\n"


def test_a_plain_text_has_a_line_for_each_line_feed() -> None:
    assert read("", "one\ntwo\r\nth\rr\u2028e\x85e") == ["one\n", "two\r\n", "th\rr\u2028e\x85e"]


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_rows_give_the_column_and_keep_what_is_quoted(ending: str, separator: str) -> None:
    data = '\ufeffid,title,text\r\n1,one,plain\r\n2,two,"a, b ""c""\nd"\r\n\r\n3,three,\n'.replace(",", separator)
    assert read(ending, data) == ["plain", f'a{separator} b "c"\nd', "", ""]
    assert read(ending, data, column="title") == ["one", "two", "", "three"]


@pytest.mark.parametrize(("ending", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_a_separator_outside_of_quotes_is_refused_and_not_cut_at(ending: str, separator: str) -> None:
    data = "id,text\n1,fine\n2,good,but slow\n".replace(",", separator)
    assert refusal(ending, data) == (
        "file, line 3 has 3 fields and the header has 2; "
        'put double quotes around text that contains the separator or a line break: "so, it is one field"'
    )


def test_a_row_without_the_column_is_refused_and_one_without_later_fields_is_read() -> None:
    assert refusal(".csv", "id,text\n1,in two\nlines\n").startswith("file, line 3 has 1 fields and the header has 2; ")
    assert read(".csv", "text,label\nonly text\n") == ["only text"]


def test_a_carriage_return_alone_does_not_end_a_row() -> None:
    message = "file, line 1 is not CSV: new-line character seen in unquoted field; correct the line"
    assert refusal(".csv", "id,text\r1,one\r\n") == message


@pytest.mark.parametrize("ending", ["", ".csv", ".jsonl"])
def test_carriage_returns_alone_do_not_end_lines(ending: str) -> None:
    message = "file ends its lines with carriage returns alone; end them with line feeds"
    assert refusal(ending, "text\ra\rb\r") == message
    assert refusal(ending, "text\ra") == message
    assert read("", "one\r") == ["one\r"]


def test_a_message_lists_a_few_columns() -> None:
    message = refusal(".csv", ",".join([f"a{number}" for number in range(50)] + ["b" * 10_000]), column="c" * 10_000)
    listed = ", ".join(f"a{number}" for number in range(20))
    assert (
        message == f"there is no column '{'c' * 200}...' in file; it has {listed}, ...; name one with --corpus.column"
    )


def test_two_columns_of_one_name_are_refused() -> None:
    assert refusal(".csv", "text,text\na,b\n") == "file has 2 columns 'text'; rename all but one"


def test_a_long_field_is_read_up_to_the_limit_and_the_limit_of_the_process_is_restored() -> None:
    before = csv.field_size_limit()
    text = "x" * 200_000
    assert read(".csv", f"text\n{text}\n") == [text]
    assert refusal(".csv", 'text\n"' + "x\n" * 60 + '"', max_line=100) == (
        "file, line 52 is not CSV: field larger than field limit (100); raise --corpus.max-line"
    )
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("ending", ["", ".csv", ".jsonl"])
def test_a_line_of_more_characters_than_the_limit_is_refused(ending: str) -> None:
    lines = {"": "x" * 40, ".csv": "text", ".jsonl": json.dumps({"text": "x" * 20})}[ending]
    assert refusal(ending, lines + "\n" + "y" * 41 + "\n", max_line=40) == (
        "file, line 2 has more than 40 characters; break it, or raise --corpus.max-line"
    )
    assert len(read("", "é" * 40 + "\r\n" + "x" * 40, max_line=40)) == 2


RECORDS = [{"id": 1, "text": "one"}, {"text": 'two, [brackets] {and} "quotes"\r\nlines'}, {"text": ""}]


@pytest.mark.parametrize("ending", [".json", ".jsonl", ".ndjson"])
@pytest.mark.parametrize("indent", [None, 2])
def test_an_array_of_objects_gives_the_values_of_the_key(ending: str, indent: int | None) -> None:
    expected = [record["text"] for record in RECORDS]
    assert read(ending, "\ufeff \n" + json.dumps(RECORDS, indent=indent) + "\n\n") == expected
    assert read(ending, "\n".join(["", *map(json.dumps, RECORDS)])) == ["", *expected]
    assert read(ending, " [ ] ") == []


def test_an_array_may_be_longer_than_the_part_in_memory() -> None:
    texts = [str(number) * (number % 7) for number in range(2000)]
    for indent in (None, 1):
        array = json.dumps([{"text": text} for text in texts], indent=indent)
        assert read(".json", array, max_line=50) == texts


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ('[{"text": "a"}, 3]', "file, item 2 is a JSON int; wanted an object with the key 'text'"),
        ('[{"title": "a"}]', "there is no key 'text' in file, item 1; it has title; name one with --corpus.column"),
        ('[{"text": "a"} {"text": "b"}]', "it is too long, or no ',' or ']' is behind it"),
        ('[{"text": "a"}, ]', "Expecting value"),
        ('[{"text": "a"}', "it is too long, or no ',' or ']' is behind it"),
        ('[{"text": "a"}] [{"text": "b"}]', "file has more than one JSON array; join them"),
        ('[{"text": "' + "a" * 90 + '"}]', "it is too long"),
        ('[{"text": "' + "a" * 500 + '"}]', "Unterminated string"),
        ("[" * 100_000, "item 1 is not JSON of at most 60 characters: "),
        ('{\n  "text": "a"\n}', "file, line 1 is not JSON: Expecting property name"),
    ],
)
def test_a_wrong_array_is_refused_with_its_item(data: str, message: str) -> None:
    assert message in refusal(".json", data, max_line=60)


def test_a_number_of_many_digits_is_refused() -> None:
    assert "line 1 is not JSON: Exceeds the limit (4300 digits)" in refusal(".jsonl", '{"text": ' + "9" * 5000 + "}")


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('{"text": "a"}', "JSON"),
        ("[", "JSON"),
        ('[{"text": "a"},', "JSON"),
        ('{"text": {', "JSON"),
        ("id\ttext", "TSV"),
        ("id,text", "CSV"),
        ('"id", "text"', "CSV"),
        ("<?xml version='1.0'?>", "XML or HTML"),
        ("<!DOCTYPE html>", "XML or HTML"),
        ("[Intro] Hello", ""),
        ("{name} is here", ""),
        ("a dog, a cat", ""),
        ("text", ""),
        ("<unk> sleeps", ""),
        ("", ""),
    ],
)
def test_the_first_line_suggests_a_format(line: str, found: str) -> None:
    assert looks_like(line, "text") == found


def test_no_torch_is_imported() -> None:
    program = "import sys, ganlm_core.data.text_files; sys.exit('torch was imported' if 'torch' in sys.modules else 0)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_errors_are_of_the_data() -> None:
    with pytest.raises(DataError):
        read(".csv", "text\na,b\n")


CSV = "id,text,label\n1,good film,positive\n2,bad film, negative \n"
JSON = '{"prompt": "the film", "completion": " is good", "label": "positive", "stars": 5, "user": null}\n'


def test_a_row_has_its_label_and_its_further_columns() -> None:
    assert records(".csv", CSV, label="label") == [
        Record("good film", "", "positive", {"id": "1"}),
        Record("bad film", "", "negative", {"id": "2"}),
    ]
    assert records(".csv", CSV)[0] == Record("good film", "", "", {"id": "1", "label": "positive"})


def test_prompt_and_completion_are_read_where_there_is_no_text() -> None:
    others = {"label": "positive", "stars": "5", "user": ""}
    assert records(".jsonl", JSON) == [Record(" is good", "the film", "", others)]
    assert records(".csv", "prompt,completion\na,b\n") == [Record("b", "a")]
    assert records(".csv", "text,prompt,completion\nc,a,b\n") == [
        Record("c", "", "", {"prompt": "a", "completion": "b"})
    ]
    assert records(".csv", "start,text\na,b\n", prompt="start") == [Record("b", "a")]
    assert records(".csv", "start,completion\na,b\n", prompt="start") == [Record("b", "a")]


@pytest.mark.parametrize("value", ["true", "false"])
def test_a_boolean_is_no_category(value: str) -> None:
    message = refusal(".jsonl", json.dumps({"text": "a", "label": json.loads(value)}), label="label")
    assert message == (
        f"file, line 1 has the boolean {value.title()} as its label; a label is the name of a category, and a boolean "
        "does not say of which: write names, such as 'positive' and 'negative'"
    )
    assert "has the boolean" in refusal(".csv", f"text,label\na,{value}\n", label="label")


@pytest.mark.parametrize(
    ("ending", "data"),
    [
        (".csv", "text,label\na,x\n\nb,\n"),
        (".csv", "text,label\na,x\n\nb\n"),
        (".jsonl", '{"text": "a", "label": "x"}\n\n{"text": "b"}\n'),
        (".jsonl", '{"text": "a", "label": "x"}\n\n{"text": "b", "label": null}\n'),
    ],
)
def test_a_row_without_a_label_is_named(ending: str, data: str) -> None:
    wanted = f"file, line {4 if ending == '.csv' else 3} has no label under 'label'; give every row one, or leave out "
    assert refusal(ending, data, label="label").startswith(wanted)


def test_labels_are_names_or_whole_numbers() -> None:
    assert [each.label for each in records(".jsonl", '{"text": "a", "label": 3}\n', label="label")] == ["3"]
    for value in ("0.5", '["x"]'):
        message = refusal(".jsonl", json.dumps({"text": "a", "label": json.loads(value)}), label="label")
        assert message.endswith("has a label under 'label' that is no category; give a string or a whole number")


def test_an_unknown_column_names_the_flag() -> None:
    message = refusal(".csv", CSV, label="labels")
    assert message == (
        "there is no column 'labels' in file; did you mean 'label'? "
        "it has id, text, label; name one with --corpus.label"
    )
    assert refusal(".csv", CSV, prompt="x").endswith("name one with --corpus.prompt")


def test_plain_text_has_no_columns() -> None:
    assert refusal("", "a\n", label="label") == (
        "file is plain text, which has no columns; --corpus.label is for CSV, TSV, JSON and JSONL files"
    )
