"""What the tests of the suites share."""

import inspect

import pytest


def checks_of(contract):
    return [name for name, _ in inspect.getmembers(contract, inspect.isfunction) if name.startswith("test")]


def run_check(contract, name):
    """Run one check as pytest would, on each loop. Return the message of its failure, None when it holds or skips."""
    check = getattr(contract, name)
    backends = [mark.args[1] for mark in getattr(check, "pytestmark", ()) if mark.name == "parametrize"]
    for backend in backends[0] if backends else [None]:
        case = contract()
        try:
            check(case) if backend is None else check(case, backend)
        except pytest.skip.Exception:
            continue
        except Exception as error:  # noqa: BLE001  # whatever it is, pytest would call it a failure
            return str(error)
        finally:
            case.leave()
    return None


@pytest.fixture
def failed_checks():
    """Run all checks of a contract; return the messages of those that fail, by name."""

    def run(contract):
        messages = {name: run_check(contract, name) for name in checks_of(contract)}
        return {name: message for name, message in messages.items() if message is not None}

    return run
