"""Awkward answers, as models give them, and the object that a person would read out of each; `to_dict` reads them all.

FAILS stands where there is none, or none that could be told from another.
"""

from math import inf, nan

import json_repair
import pytest

from penstock import StepError
from penstock.testing import step_context
from penstock_steps import ToDict

FAILS = object()

AWKWARD = {
    # ---------------------------------------------------------------- JSON, and what stands around it
    "plain": ('{"a": 1}', {"a": 1}),
    "white space around": ('\n\n  {"a": 1}\n', {"a": 1}),
    "byte order mark": ('\ufeff{"a": 1}', {"a": 1}),
    "empty object": ("{}", {}),
    "fence": ('```json\n{"a": 1}\n```', {"a": 1}),
    "fence without a language": ('```\n{"a": 1}\n```', {"a": 1}),
    "fence in capitals": ('```JSON\n{"a": 1}\n```', {"a": 1}),
    "fence of tildes": ('~~~json\n{"a": 1}\n~~~', {"a": 1}),
    "fence on one line": ('```json {"a": 1}```', {"a": 1}),
    "fence never closed": ('```json\n{"a": 1}', {"a": 1}),
    "fence in a quote": ('> ```json\n> {"a": 1}\n> ```', {"a": 1}),
    "fence with prose": ('Sure! Here it is:\n\n```json\n{"a": 1}\n```\n\nAnything else?', {"a": 1}),
    "fence with a fence in a string": (
        'Here:\n```json\n{"code": "```py\\nx = {}\\n```"}\n```',
        {"code": "```py\nx = {}\n```"},
    ),
    "fence in a string outside fences": (
        'The file is {"text": "```json\\n{\\"b\\": 2}\\n```", "a": 1}.',
        {"text": '```json\n{"b": 2}\n```', "a": 1},
    ),
    "two fences, code and JSON": ('```sh\nls {a,b}\n```\nprints\n```json\n{"files": ["a"]}\n```', {"files": ["a"]}),
    "prose before": ('Here is the JSON you asked for: {"a": 1}', {"a": 1}),
    "prose after": ('{"a": 1}\nLet me know if you need more!', {"a": 1}),
    "prose with quotes around": ('The "best" answer is {"a": "it"} - isn\'t "it"?', {"a": "it"}),
    "prose with a colon": ('Result: {"a": 1}', {"a": 1}),
    "Markdown around": ('**{"a": 1}**', {"a": 1}),
    "inline code": ('The object is `{"a": 1}`.', {"a": 1}),
    "XML around": ('<answer>{"a": 1}</answer>', {"a": 1}),
    "the word json before": ('json\n{"a": 1}', {"a": 1}),
    "an assignment": ('const answer = {"a": 1};', {"a": 1}),
    "thoughts with a draft": ('<think>Perhaps {"a": 0, "b": 1, "c": 2}?</think>\n{"a": 1}', {"a": 1}),
    "inside a JSON string": ('"{\\"a\\": 1}"', {"a": 1}),
    "escaped as if in a string": ('{\\"a\\": \\"b\\", \\"c\\": [1]}', {"a": "b", "c": [1]}),
    "escaped, with line breaks": ('{\\n  \\"a\\": 1\\n}', {"a": 1}),
    "twice the braces": ('{{"a": 1}}', {"a": 1}),
    "one brace too many": ('{"a": {"b": 1}}}', {"a": {"b": 1}}),
    # ---------------------------------------------------------------- prose with braces
    "a placeholder before": ('Put your name for {name}: {"a": 1}', {"a": 1}),
    "a placeholder after": ('{"a": 1} replaces {placeholder}.', {"a": 1}),
    "words in braces before": ('As said {see above}, it is {"a": 1}', {"a": 1}),
    "LaTeX": ('With \\frac{1}{2} and x_{i}: {"half": 0.5}', {"half": 0.5}),
    "code with braces": ("function f(x) { return x; }", FAILS),
    "a template": ("Dear {{name}}, your {{thing}} is ready.", FAILS),
    "a set of numbers": ("The solutions are {1, 2, 3}.", FAILS),
    "a lone brace": ("Begin with { and go on.", FAILS),
    "empty braces in prose": ('An empty {} comes first, then {"a": 1}.', {"a": 1}),
    # ---------------------------------------------------------------- no object
    "nothing": ("", FAILS),
    "a refusal": ("I'm sorry, but I can't help with that.", FAILS),
    "a number": ("42", FAILS),
    "a list of numbers": ("[1, 2, 3]", FAILS),
    "a list of words in braces": ('{"a", "b"}', FAILS),
    "None": ("None", FAILS),
    # ---------------------------------------------------------------- several objects, lists of objects
    "a correction": ('{"a": 1}\nWait, that is wrong:\n{"a": 2}', {"a": 2}),
    "an example and the answer": ('Like {"x": 0}. So: {"x": 7, "y": [1, 2]}', {"x": 7, "y": [1, 2]}),
    "a note after the answer": ('{"name": "Ada", "born": 1815}\nNote: {"sources": 2}', {"name": "Ada", "born": 1815}),
    "a list of one object": ('[{"a": 1}]', {"a": 1}),
    "a list of one object in prose": ('Here: [{"a": 1,}] as asked', {"a": 1}),
    "a list of two objects": ('[{"a": 1}, {"a": 2}]', FAILS),
    "a broken list of two objects": ("Here: [{'a': 1}, {'a': 2},]", FAILS),
    "an object of lists of objects": ('{"items": [{"a": 1}, {"a": 2}]}', {"items": [{"a": 1}, {"a": 2}]}),
    "a footnote before": ('As in [1], {"a": 1}', {"a": 1}),
    # ---------------------------------------------------------------- quotes
    "single quotes": ("{'a': 'b', 'c': ['d']}", {"a": "b", "c": ["d"]}),
    "single quotes, an apostrophe": ("{'a': \"it's\", 'b': 'c'}", {"a": "it's", "b": "c"}),
    "single quotes, escaped": ("{'a': 'it\\'s', 'b': 1}", {"a": "it's", "b": 1}),
    "single quotes, a bare apostrophe": ("{'a': 'it's fine', 'b': 2}", {"a": "it's fine", "b": 2}),
    "single quotes, a brace inside": ("{'a': '}', 'b': '{'}", {"a": "}", "b": "{"}),
    "single quotes, double inside": ("{'a': 'say \"hi\"', 'b': 1}", {"a": 'say "hi"', "b": 1}),
    "nested quotes": ('{"a": "he said "hi" to me", "b": 1}', {"a": 'he said "hi" to me', "b": 1}),
    "nested quotes at the end": ('{"a": "he said "hi"", "b": 1}', {"a": 'he said "hi"', "b": 1}),
    "SQL with quotes": ('{"sql": "SELECT "a" FROM "t"", "ok": true}', {"sql": 'SELECT "a" FROM "t"', "ok": True}),
    "quotes and a brace in a string": ('{"q": "value "x"}, more", "n": 1}', {"q": 'value "x"}, more', "n": 1}),
    "JSON in a string": ("{'p': '{\"x\": 1}', 'n': 2}", {"p": '{"x": 1}', "n": 2}),
    "a closing quote missing on a value": ('{"a": "hello, "b": 2}', {"a": "hello", "b": 2}),
    "a bracket missing inside": ('{"a": [1, 2, "b": 3}', {"a": [1, 2], "b": 3}),
    "a function call": ('set_weather({"city": "Paris", "unit": "C"})', {"city": "Paris", "unit": "C"}),
    "HTML with quotes": ('{"html": "<a href="x">y</a>"}', {"html": '<a href="x">y</a>'}),
    "curly quotes": ("{“a”: “b”, “c”: 1}", {"a": "b", "c": 1}),
    "curly quotes inside": ('{"a": "he said “hi”", "b": 1,}', {"a": "he said “hi”", "b": 1}),
    "single curly quotes": ("{‘a’: ‘b’}", {"a": "b"}),
    "backticks": ("{`a`: `b`}", {"a": "b"}),
    "triple quotes": ('{"a": """two\nlines""", "b": 1}', {"a": "two\nlines", "b": 1}),
    "keys without quotes": ('{a: 1, b_2: "c", $d: null}', {"a": 1, "b_2": "c", "$d": None}),
    "nothing in quotes": ("{name: Ada, age: 36}", {"name": "Ada", "age": 36}),
    "values of words without quotes": ("{a: hello world, b: [x, y]}", {"a": "hello world", "b": ["x", "y"]}),
    "a closing quote missing on a key": ('{"a: 1, "b": 2}', {"a": 1, "b": 2}),
    "line breaks in a string": ('{"a": "one\ntwo\tthree"}', {"a": "one\ntwo\tthree"}),
    "a Windows path": ('{"path": "C:\\Users\\Ada", "n": 1}', {"path": "C:\\Users\\Ada", "n": 1}),
    "a regular expression": ('{"re": "\\d+\\.\\d"}', {"re": "\\d+\\.\\d"}),
    "LaTeX in a string": (r'{"f": "\frac{1}{2}", "g": "\alpha"}', {"f": r"\frac{1}{2}", "g": r"\alpha"}),
    "keys in bold": ('{**"a"**: 1}', {"a": 1}),
    "a URL and a comment mark": ('{"u": "http://x.y/#z", "b": 1,}', {"u": "http://x.y/#z", "b": 1}),
    # ---------------------------------------------------------------- commas, comments, marks
    "trailing comma": ('{"a": 1, "b": [1, 2,],}', {"a": 1, "b": [1, 2]}),
    "comma missing": ('{"a": 1 "b": 2}', {"a": 1, "b": 2}),
    "comma missing at a line's end": ('{\n "a": "x"\n "b": "y"\n}', {"a": "x", "b": "y"}),
    "two commas": ('{"a": 1,, "b": 2}', {"a": 1, "b": 2}),
    "a comma first": ('{, "a": 1}', {"a": 1}),
    "semicolons": ('{"a": 1; "b": 2}', {"a": 1, "b": 2}),
    "equals signs": ('{"a" = 1, "b" = 2}', {"a": 1, "b": 2}),
    "Ruby's arrows": ("{'a' => 1, 'b' => 'c'}", {"a": 1, "b": "c"}),
    "line comments": ('{"a": 1, // one\n "b": 2 # two\n}', {"a": 1, "b": 2}),
    "block comments": ('{/* first */ "a": 1, /* then */ "b": 2}', {"a": 1, "b": 2}),
    "an ellipsis": ('{"a": 1, "b": [1, 2, ...], ...}', {"a": 1, "b": [1, 2]}),
    "a list closed by a brace": ('{"a": [1, 2}', {"a": [1, 2]}),
    "outer braces missing": ('"a": 1,\n"b": {"c": 2}', {"a": 1, "b": {"c": 2}}),
    "opening brace missing": ('"a": 1, "b": 2}', {"a": 1, "b": 2}),
    # ---------------------------------------------------------------- words and numbers
    "Python's words": ("{'a': True, 'b': False, 'c': None}", {"a": True, "b": False, "c": None}),
    "Python's words in capitals": ('{"a": TRUE, "b": NULL}', {"a": True, "b": None}),
    "Python's tuple": ("{'a': (1, 'x')}", {"a": [1, "x"]}),
    "Python's escapes": ("{'a': '\\xe9\\U0001f600\\'', 'b': 1}", {"a": "é😀'", "b": 1}),
    "keys that are numbers": ('{1: "a", 2: "b"}', {"1": "a", "2": "b"}),
    "NaN": ('{"a": NaN, "b": 1}', {"a": nan, "b": 1}),
    "NaN in lower case": ('{"a": nan, "b": -inf}', {"a": nan, "b": -inf}),
    "infinity": ('{"a": -Infinity, "b": Infinity}', {"a": -inf, "b": inf}),
    "undefined": ('{"a": undefined, "b": 1}', {"a": None, "b": 1}),
    "a plus sign": ('{"a": +5, "b": .5, "c": 5.}', {"a": 5, "b": 0.5, "c": 5.0}),
    "underscores in a number": ('{"a": 1_000}', {"a": 1000}),
    "hexadecimal": ('{"a": 0x1F}', {"a": 31}),
    "a date without quotes": ("{a: 2024-01-01}", {"a": "2024-01-01"}),
    "a key twice": ('{"a": 1, "a": 2}', {"a": 2}),
    # ---------------------------------------------------------------- cut off
    "cut off in a string": ('{"a": 1, "b": "hel', {"a": 1, "b": "hel"}),
    "cut off in an escape": ('{"a": 1, "b": "x\\', {"a": 1, "b": "x"}),
    "cut off in a key": ('{"a": 1, "bc', {"a": 1}),
    "cut off after a key": ('{"a": 1, "b"', {"a": 1}),
    "cut off after a colon": ('{"a": 1, "b":', {"a": 1}),
    "cut off after a comma": ('{"a": 1,', {"a": 1}),
    "cut off in a word": ('{"a": 1, "b": tru', {"a": 1, "b": True}),
    "cut off in a number": ('{"a": 1, "b": 12.', {"a": 1, "b": 12}),
    "cut off deep inside": ('{"a": {"b": [1, {"c": "d', {"a": {"b": [1, {"c": "d"}]}}),
    "cut off in a list of objects": (
        '{"items": [{"id": 1, "name": "A"}, {"id": 2, "na',
        {"items": [{"id": 1, "name": "A"}, {"id": 2}]},
    ),
    "cut off before prose": ('{"a": 1, "b": 2\n\nHope this helps!', {"a": 1, "b": 2}),
    "cut off in a fence": ('```json\n{"a": [1, 2', {"a": [1, 2]}),
    "cut off, single quotes": ("{'a': 'b', 'c': ['d", {"a": "b", "c": ["d"]}),
    "last brace missing": ('{"a": {"b": 1}', {"a": {"b": 1}}),
    # ---------------------------------------------------------------- other scripts
    "Chinese": ('{"姓名": "张三", "年龄": 30,}', {"姓名": "张三", "年龄": 30}),
    "Chinese punctuation": ("{“姓名”：“张三”，“年龄”：30}", {"姓名": "张三", "年龄": 30}),
    "full width throughout": ("｛＂a＂：［1，2］，＂b＂：＂你好，世界＂｝", {"a": [1, 2], "b": "你好，世界"}),
    "corner brackets": ("{「a」: 「b」}", {"a": "b"}),
    "Chinese quotes in quotes": ('{"标题": "他说"你好"然后走了", "数": 1}', {"标题": '他说"你好"然后走了', "数": 1}),
    "Chinese marks in and between strings": (
        '{"描述": "苹果，香蕉：水果"，"数量"：3}',
        {"描述": "苹果，香蕉：水果", "数量": 3},
    ),
    "Japanese": ("回答：{「名前」：「太郎」、「年齢」：20}", {"名前": "太郎", "年齢": 20}),
    "Russian": ("Вот: {«имя»: «Иван», «возраст»: 30}", {"имя": "Иван", "возраст": 30}),
    "full-width digits": ('{"年": ２０２４}', {"年": 2024}),
    "Chinese prose": ('好的，结果如下：{"a": 1}。希望对你有帮助！', {"a": 1}),
    "Chinese keys without quotes": ("{姓名: 张三}", {"姓名": "张三"}),
    "Arabic": ('{"الاسم": "محمد", "العمر": 30', {"الاسم": "محمد", "العمر": 30}),
    "Arabic commas": ('{"الاسم": "محمد"، "العمر": 30}', {"الاسم": "محمد", "العمر": 30}),
    "Arabic digits": ('{"العمر": ٣٠}', {"العمر": 30}),
    "Arabic marks in numbers": ('{"السعر": ١٢٬٣٤٥٫٥}', {"السعر": 12345.5}),
    "German quotes": ("{„a“: „b“}", {"a": "b"}),
    "guillemets": ("{«a»: «b»}", {"a": "b"}),
    "escaped characters": ('{"caf\\u00e9": "\\ud83d\\ude00",}', {"café": "😀"}),
    "no-break spaces": ('{\u00a0"a":\u00a01\u00a0}', {"a": 1}),
    # ---------------------------------------------------------------- found by a sceptic who had not read the step
    "braces left out in a fence": ('```json\n"a": 1,\n"b": "x"\n```', {"a": 1, "b": "x"}),
    "an object in a quote": ('> {\n>   "a": {"b": 1},\n>   "c": 2\n> }', {"a": {"b": 1}, "c": 2}),
    "an invisible space": ('\u200b{\u200b"a": 1,\u200b "b": "x\u200by"}', {"a": 1, "b": "x\u200by"}),
    "a brace too many in the middle": ('{"a": {"b": 1}}, "c": 2}', {"a": {"b": 1}, "c": 2}),
    "a bracket too many in the middle": ('{"a": [1, 2]], "c": 2}', {"a": [1, 2], "c": 2}),
    "a key without its first quote": ('{a": 1, "b": "http://x.y/z"}', {"a": 1, "b": "http://x.y/z"}),
    "a key without its last quote": ('{"a: 1, "b": "http://x.y/z"}', {"a": 1, "b": "http://x.y/z"}),
    "keys without their colons": ('{"a" 1, "b" "x", "c" [2]}', {"a": 1, "b": "x", "c": [2]}),
    "a last string without its last quote": ('{"n": 1, "note": "fine}', {"n": 1, "note": "fine"}),
    "a first bracket left out": ('{"a": [1, 2), "c": 2}', {"a": [1, 2], "c": 2}),
    "line ends for commas": (
        '{\n"a": 1\n"b": "x"\n"c": {"d": 2}\n"e": [3]\n}',
        {"a": 1, "b": "x", "c": {"d": 2}, "e": [3]},
    ),
    "values of several words, line by line": ("{\n  a: the first\n  b: 2\n}", {"a": "the first", "b": 2}),
    "a comma that is part of a word": ("{city: Paris, France, n: 1}", {"city": "Paris, France", "n": 1}),
    "commas in a number": ('{"a": 1,000, "b": 2}', {"a": "1,000", "b": 2}),
    "a decimal comma": ('{"a": 3,14, "b": 2}', {"a": "3,14", "b": 2}),
    "per cent": ('{"a": 50%, "b": 2}', {"a": "50%", "b": 2}),
    "money": ('{"a": $5.00, "b": 2}', {"a": "$5.00", "b": 2}),
    "a unit": ('{"a": 5 kg, "b": 2}', {"a": "5 kg", "b": 2}),
    "a time": ('{"a": 12:30, "b": 2}', {"a": "12:30", "b": 2}),
    "a sum that is not done": ('{"a": 2 * 3, "b": 2}', {"a": "2 * 3", "b": 2}),
    "a colour": ('{"c": #ff0000, "n": 1}', {"c": "#ff0000", "n": 1}),
    "a placeholder": ('{"a": <your answer>, "b": 1}', {"a": "<your answer>", "b": 1}),
    "a call": ("{'d': date(2024, 1, 2), 'n': 1}", {"d": "date(2024, 1, 2)", "n": 1}),
    "a call with a text": ('{"d": ISODate("2024-01-02"), "n": 1}', {"d": 'ISODate("2024-01-02")', "n": 1}),
    "a key of two words": ('{first name: "Ann", age: 3}', {"first name": "Ann", "age": 3}),
    "prefixes of Python's strings": (r"{u'a': b'x', 'p': r'C:\temp'}", {"a": "x", "p": r"C:\temp"}),
    "strings added up": ('{"a": "foo " + "bar", "b": 1}', {"a": "foo bar", "b": 1}),
    "a sign cut off": ('{"a": 1, "b": -', {"a": 1}),
    "LaTeX with tabs and line breaks": (r'{"a": "\theta \times \nabla \alpha"}', {"a": r"\theta \times \nabla \alpha"}),
    "a repair that would leave something out": ('{"a" => 1, :b => "x"}', FAILS),
    "JSON lines": ('{"a": 1}\n{"a": 2}\n', FAILS),
    "JSON lines of another kind in a fence": ('```jsonl\n{"a": 1}\n{"b": 2}\n```', FAILS),
    "the same object twice": ('{"a": 1}\n{"a": 1}', {"a": 1}),
}


def read(text):
    """What the step makes of a text; FAILS when it fails."""
    try:
        return ToDict().process(text, step_context(text))
    except StepError:
        return FAILS


def same(one, other):
    """Equality for which NaN is NaN."""
    return repr(one) == repr(other)


@pytest.mark.parametrize("name", AWKWARD)
def test_an_awkward_answer_is_read_as_a_person_reads_it(name):
    text, expected = AWKWARD[name]
    assert same(read(text), expected)


def test_it_reads_more_than_the_repair_library_alone():
    def alone(text):
        value = json_repair.loads(text)
        return value if isinstance(value, dict) else FAILS

    ours = sum(same(read(text), expected) for text, expected in AWKWARD.values())
    library = sum(same(alone(text), expected) for text, expected in AWKWARD.values())
    assert (ours, library) == (178, 117), "say the new figures in the README as well"
