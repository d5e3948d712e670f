"""The steps that take data: `json_load`, `extract_value`, `json_schema`, `structure`."""

import json
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import Literal

import attrs
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import StepError
from penstock.testing import StepContract, step_context
from penstock_steps import ExtractValue, JsonLoad, JsonSchema, Structure

DEEP = '{"a":' * 5000 + "1" + "}" * 5000
ORDER = {"order": {"items": [{"price": 5}, {"price": 7, "a.b": {"*": 1}}], "id": None}}
SCHEMA = {
    "type": "object",
    "required": ["items"],
    "properties": {
        "items": {"type": "array", "items": {"type": "object", "properties": {"price": {"type": "number"}}}},
        "day": {"format": "date"},
    },
}


def run(step, content):
    return step.process(content, step_context(content))


def failure(step, content):
    with pytest.raises(StepError) as caught:
        run(step, content)
    return caught.value


# ---------------------------------------------------------------- json_load


class TestJsonLoad(StepContract):
    examples = (('{"a": [1, null]}', {"a": [1, None]}), (" 5 ", 5), ('"x"', "x"), ({"a": 1}, {"a": 1}), ([1], [1]))
    failures = ("", "{'a': 1}", '```json\n{"a": 1}\n```', '{"a": NaN}', "1e999", '{"a": 1} and more', 5, None, DEEP)

    def make(self):
        return JsonLoad()


@given(st.text())
def test_json_load_takes_what_json_takes(text):
    try:
        expected = json.loads(text, parse_constant=lambda _: (_ for _ in ()).throw(ValueError()))
    except (ValueError, StopIteration):
        assert "JSON and nothing else" in str(failure(JsonLoad(), text).feedback)
    else:
        assert run(JsonLoad(), text) == expected


# ---------------------------------------------------------------- extract_value


class TestExtractValue(StepContract):
    examples = (
        (ORDER, 7),
        (json.dumps(ORDER), 7),
        (f"```json\n{json.dumps(ORDER)}\n```", 7),
    )
    failures = ({}, [], "no JSON", '{"order": {}}', 5, None, DEEP)

    def make(self):
        return ExtractValue("order.items[1].price")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("order.items[0].price", 5),
        ("order.items[-1].price", 7),
        ("order.items[*].price", [5, 7]),
        ("order.id", None),
        ('order.items[1]["a.b"]["*"]', 1),
        ('order.items[1]["a.b"].*', 1),
        ('["order"].items[0]', {"price": 5}),
        ("order.items", ORDER["order"]["items"]),
    ],
)
def test_extract_value_follows_a_path(path, value):
    assert run(ExtractValue(path), ORDER) == value


def test_extract_value_begins_in_a_list_too():
    assert run(ExtractValue("[1].a"), [{"a": 1}, {"a": 2}]) == 2
    assert run(ExtractValue("[*].a[*]"), [{"a": [1, 2]}, {"a": []}]) == [[1, 2], []]


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("order.prices", "order has no key 'prices'; its keys are 'items', 'id'"),
        ("order.items[2]", "order.items has 2 items, and no item 2"),
        ("order.items.price", "order.items must be an object, and is a list"),
        ("order[0]", "order must be a list, and is an object"),
        ('order.items[*]["a.b"]', "order.items[0] has no key 'a.b'; its keys are 'price'"),
        ("order.id.x", "order.id must be an object, and is null"),
    ],
)
def test_extract_value_says_up_to_where_the_path_led(path, says):
    error = failure(ExtractValue(path), ORDER)
    assert str(error) == f"the answer has no {path}: {says}"
    assert error.feedback == f"The answer must have a value at {path}: {says}."


def test_extract_value_with_a_default_cannot_fail_on_data():
    assert run(ExtractValue("a.b[0]", default=None), {}) is None
    assert run(ExtractValue("a.b[0]", default=0), [1]) == 0


def test_extract_value_says_what_to_put_before_it():
    assert "put to_dict before it" in str(failure(ExtractValue("a"), "some prose"))
    assert "got nothing; put to_dict or json_load before it" in str(failure(ExtractValue("a"), None))


@pytest.mark.parametrize("path", ["", "a..b", "a[", "a[x]", ".a", "a.", '["a'])
def test_a_path_that_is_none_is_refused_when_the_step_is_made(path):
    with pytest.raises(ValueError, match="path"):
        ExtractValue(path)


# ---------------------------------------------------------------- json_schema


class TestJsonSchema(StepContract):
    examples = (
        ({"items": [{"price": 1}]}, {"items": [{"price": 1}]}),
        ('{"items": []}', {"items": []}),
    )
    failures = ({}, "no JSON", "5", None, {"items": [{"price": "x"}]})

    def make(self):
        return JsonSchema(SCHEMA)


def test_json_schema_tells_every_problem_with_its_path():
    error = failure(JsonSchema(SCHEMA), {"items": [{"price": "x"}, {"price": 1}, {"price": None}]})
    assert error.feedback == (
        "The answer does not fit the schema:\n"
        "- /items/0/price: 'x' is not of type 'number'\n"
        "- /items/2/price: None is not of type 'number'"
    )
    assert "/items/0/price: 'x' is not of type 'number'" in str(error)


def test_json_schema_tells_ten_problems_and_shortens_them():
    error = failure(JsonSchema(SCHEMA), {"items": [{"price": "x" * 10_000}] * 100})
    assert str(error.feedback).count("\n- ") == 10
    assert len(str(error)) < 5000


def test_json_schema_of_alternatives_tells_the_nearest():
    schema = {"anyOf": [{"type": "string"}, {"type": "object", "properties": {"a": {"type": "integer"}}}]}
    assert "/a: 'x' is not of type 'integer'" in str(failure(JsonSchema(schema), {"a": "x"}))


def test_json_schema_takes_a_string_for_what_it_is():
    assert run(JsonSchema({"type": "string", "pattern": r"^\d{5}$"}), "01234") == "01234"
    assert run(JsonSchema({"type": ["string", "null"]}), "null") == "null"
    assert run(JsonSchema({"type": "integer"}), "12345") == 12345
    assert failure(JsonSchema({"type": "string", "maxLength": 2}), "{}x")


def test_json_schema_from_a_file(tmp_path):
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    assert run(JsonSchema(file=tmp_path / "schema.json"), {"items": []}) == {"items": []}


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({}, "exactly one of schema and file"),
        ({"schema": {}, "file": "x"}, "exactly one of schema and file"),
        ({"schema": {"type": "sting"}}, "the schema is wrong at .*type.*'sting'"),
        ({"file": "no/such/file.json"}, "cannot be read from no/such/file.json"),
    ],
)
def test_a_schema_that_is_wrong_is_refused_when_the_step_is_made(options, says):
    with pytest.raises(ValueError, match=says):
        JsonSchema(**options)


def test_json_schema_checks_formats_when_it_is_told_to():
    assert run(JsonSchema(SCHEMA), {"items": [], "day": "soon"})
    assert "/day: 'soon' is not a 'date'" in str(
        failure(JsonSchema(SCHEMA, formats=True), {"items": [], "day": "soon"})
    )


def test_json_schema_fetches_nothing():
    for ref in ("http://localhost:1/schema.json", "file:///etc/hostname"):
        assert "which is not in it" in str(failure(JsonSchema({"$ref": ref}), {}))


def test_json_schema_refers_within_itself():
    tree = {"$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}}}
    step = JsonSchema({**tree, "$ref": "#/$defs/node"})
    assert run(step, {"next": {"next": {"n": 1}}})
    assert "/next/n: 'x'" in str(failure(step, {"next": {"n": "x"}}))


def test_a_schema_without_end_is_the_steps_failure():
    assert "too deeply" in str(failure(JsonSchema({"$ref": "#"}), {}))


def test_a_file_that_holds_no_schema_is_refused(tmp_path):
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match=r"holds a list, and a schema is an object"):
        JsonSchema(file=tmp_path / "list.json")


def test_json_schema_reads_older_drafts_by_their_name():
    schema = {"$schema": "http://json-schema.org/draft-04/schema#", "maximum": 5, "exclusiveMaximum": True}
    assert "5" in str(failure(JsonSchema(schema), 5))


# ---------------------------------------------------------------- structure


NO_CLASS = 5


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


@attrs.frozen
class Item:
    name: str
    price: float
    tags: tuple[str, ...] = ()


@dataclass
class Order:
    number: int
    items: list[Item]
    size: Size = Size.SMALL
    paid: bool = False
    due: date | None = None
    total: Decimal = Decimal(0)
    kind: Literal["web", "shop"] = "web"
    notes: dict[str, str] = field(default_factory=dict)


class Invoice(pydantic.BaseModel):
    number: int
    items: list[dict[str, float]] = []


class TestStructure(StepContract):
    examples = (
        ({"name": "pen", "price": 1}, Item("pen", 1.0)),
        ('{"name": "pen", "price": 1.5, "tags": ["a"]}', Item("pen", 1.5, ("a",))),
        (Item("pen", 1.0), Item("pen", 1.0)),
    )
    failures = ({}, {"name": "pen", "price": "1"}, "no JSON", [1], None, {"name": 5, "price": 1})

    def make(self):
        return Structure(Item)


def test_structure_makes_nested_data():
    data = {
        "number": 7,
        "items": [{"name": "pen", "price": 1}],
        "size": "large",
        "due": "2026-11-20",
        "total": 1.5,
        "more": "is left out",
    }
    order = Order(7, [Item("pen", 1.0)], Size.LARGE, due=date(2026, 11, 20), total=Decimal("1.5"))
    assert run(Structure(Order), data) == order
    assert run(Structure(f"{__name__}:Order"), json.dumps(data)).number == 7
    assert run(Structure(list[Item]), [{"name": "pen", "price": 1}]) == [Item("pen", 1.0)]


def test_structure_tells_every_problem_with_its_path():
    data = {"items": [{"name": "pen", "price": "x"}, {"price": 1}], "paid": "yes", "size": "huge", "kind": "fax"}
    error = failure(Structure(Order), data)
    lines = str(error.feedback).splitlines()
    assert lines[0] == "The answer does not have the right shape:"
    assert "- /items/0/price: expected a number, got 'x'" in lines
    assert "- /items/1/name: it is missing" in lines
    assert "- /number: it is missing" in lines
    assert "- /paid: expected true or false, got 'yes'" in lines
    assert any(line.startswith("- /size: ") and "huge" in line for line in lines)
    assert any(line.startswith("- /kind: ") and "fax" in line for line in lines)


def test_structure_forbids_other_keys_when_it_is_told_to():
    data = {"name": "pen", "price": 1, "color": "red"}
    assert run(Structure(Item), data) == Item("pen", 1.0)
    assert "color" in str(failure(Structure(Item, extra="forbid"), data))


def test_structure_coerces_when_it_is_told_to():
    assert run(Structure(Item, coerce=True), {"name": 5, "price": "1.5"}) == Item("5", 1.5)


def test_structure_makes_pydantic_models():
    assert run(Structure(Invoice), {"number": 7}) == Invoice(number=7)
    error = failure(Structure(Invoice), {"number": "x", "items": [{"a": "b"}]})
    assert "- /number: Input should be a valid integer" in str(error.feedback)
    assert "- /items/0/a: Input should be a valid number" in str(error.feedback)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("Item", "must be a class or 'module:Class'"),
        ("no_such_module:Item", "cannot be imported"),
        (f"{__name__}:Nothing", "cannot be imported"),
        (f"{__name__}:NO_CLASS", "must be an attrs class, a dataclass or a pydantic model"),
        (list[type], "cannot be made from data"),
        (dict, "must be an attrs class, a dataclass or a pydantic model"),
    ],
)
def test_a_target_that_cannot_be_is_refused_when_the_step_is_made(target, says):
    with pytest.raises(ValueError, match=says):
        Structure(target)
