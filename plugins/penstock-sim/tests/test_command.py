"""The program: how it starts, what it says, how it stops."""

import argparse
import errno
import os
import signal
import socket
import subprocess
import sys
from importlib.metadata import entry_points

import httpx
import pytest

from penstock_sim.command import configure

CHAT = "/v1/chat/completions"


def start(*options):
    command = [sys.executable, "-m", "penstock_sim.serve", *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for another process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_program_with_a_line_of_statistics(number, chat):
    with start("--port", "0", "--fault", "500=1", "--rpm", "1", "--limiter", "sliding") as process:
        url = process.stdout.readline().strip()
        with httpx.Client(base_url=url, trust_env=False) as one:
            assert [one.post(CHAT, json=chat()).status_code for _ in range(2)] == [500, 429]
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (0, "")
    assert err.splitlines()[-1].startswith("served 2 requests (1 x 429, 1 x 500)")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--fault", "stal=0.5"), "unknown fault 'stal': did you mean 'stall'?"),
        (("--fault", "stall"), "'stall' is not NAME=RATE"),
        (("--fault", "stall=2"), "from 0 to 1"),
        (("--script", "ok,bad"), "unknown fault 'bad'"),
        (("--rpm", "0"), "rpm must be 1 or more"),
        (("--port", "99999"), "port"),
        (("--host", "no.such.host.invalid"), "cannot listen on no.such.host.invalid"),
    ],
)
def test_a_bad_option_is_one_line_on_stderr(options, message):
    with start("--port", "0", *options) as process:
        out, err = process.communicate(timeout=10)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("penstock sim serve: ")
    assert message in err
    assert err.count("\n") == 1


def test_a_port_in_use_is_one_line_on_stderr():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with start("--port", str(port)) as process:
            _, err = process.communicate(timeout=10)
    assert process.returncode == 2
    assert err == f"penstock sim serve: cannot listen on 127.0.0.1 port {port}: {os.strerror(errno.EADDRINUSE)}\n"


def test_the_command_sets_what_to_run():
    parser = argparse.ArgumentParser(prog="penstock sim")
    configure(parser)
    args = parser.parse_args(["serve", "--rpm", "0"])
    assert args.run(args) == 2
    with pytest.raises(SystemExit):
        parser.parse_args([])


def test_the_command_is_entered_where_penstock_looks_for_commands():
    (entry,) = entry_points(group="penstock.commands", name="sim")
    assert entry.load() is configure
