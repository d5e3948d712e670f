"""When a bulk run gives up, and when it goes on."""

from penstock.bulk.hopes import Hopes
from penstock.errors import ErrorType
from penstock.testing import sample_result


def failed(kind, message="no", *, called=True):
    result = sample_result(success=False, error_type=kind, error_message=message, elapsed_ms=0.0)
    return result if called else result.replace(attempts=())


def judge(results, seconds_each=0.0):
    hopes, verdict = Hopes(), None
    for number, result in enumerate(results):
        verdict = hopes.judge(result, number * seconds_each)
        if verdict is not None:
            return number + 1, verdict
    return None


def test_what_no_row_escapes_ends_a_run_after_a_few():
    for kind, enough in [
        ("insufficient_quota", 1),
        ("unsupported_region", 5),
        ("authentication", 5),
        ("permission", 20),
    ]:
        number, why = judge([failed(ErrorType(kind))] * 50)
        assert number == enough
        assert kind in why


def test_a_good_row_between_them_begins_the_count_again():
    good = sample_result(elapsed_ms=0.0)
    assert judge([*[failed(ErrorType.AUTHENTICATION)] * 4, good] * 10) is None


def test_rows_that_no_call_was_made_for_must_all_say_the_same():
    alike = [failed(ErrorType.INVALID_REQUEST, "no key", called=False)] * 30
    assert judge(alike) == (20, "20 rows in a row failed with invalid_request: no key")
    assert judge([failed(ErrorType.INVALID_REQUEST, f"bad {n}", called=False) for n in range(99)], 1.0) is None
    assert judge([failed(ErrorType.INVALID_REQUEST)] * 99, 1.0) is None


def test_a_minute_without_any_answer_ends_a_run_and_a_shorter_time_does_not():
    kinds = [ErrorType.CONNECTION, ErrorType.TIMEOUT, ErrorType.SERVER_ERROR, ErrorType.MALFORMED_RESPONSE]
    number, why = judge([failed(kind) for kind in kinds] * 50, 1.0)
    assert number == 61
    assert why == "61 rows and no answer at all; the last one failed with connection: no"
    assert judge([failed(ErrorType.CONNECTION)] * 1000, 0.01) is None
    assert judge([failed(ErrorType.CONNECTION)] * 19, 60.0) is None


def test_whatever_a_provider_meant_is_a_sign_of_life():
    lost = [failed(ErrorType.CONNECTION)] * 500
    for sign in (sample_result(), failed(ErrorType.HTTP_429), failed(ErrorType.CONTEXT_LENGTH)):
        assert judge([sign, *lost], 1.0) is None
