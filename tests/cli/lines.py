"""Lines of the command line, run as a person types them."""

import json
import shlex

from dwindle.cli.main import main


def run(line, capsys):
    """Exit code, stdout and stderr of one line."""
    code = main(shlex.split(line))
    return (code, *capsys.readouterr())


def as_json(line, capsys, code=0):
    """The JSON document of a line; its options stand before a command."""
    ours, dashes, rest = line.partition(" -- ")
    found, out, err = run(f"{ours} --json{dashes}{rest}", capsys)
    assert found == code, err
    return json.loads(out)


def error_of(line, capsys, code=2):
    """The error object of a line that is refused."""
    return as_json(line, capsys, code)["error"]
