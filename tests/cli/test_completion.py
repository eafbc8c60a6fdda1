"""What a shell completes with our scripts; shells that are here are really run."""

import shutil
import subprocess

import pytest
from cli.lines import as_json, error_of, run

from dwindle.cli.main import COMMANDS

# Line that is typed, the last word of it not yet whole: what is offered.
OFFERED = {
    "re": {"rescale", "report"},
    "rescale --ba": {"--batch-size", "--batch-tokens"},
    "rescale --schedule const": {"constant"},
    "convert --to keras.optimizers.Ft": {"keras.optimizers.Ftrl"},
    "explain torch.optim.AdamW": {"torch.optim.AdamW="},
    "rules half-life-e": {"half-life-epochs", "half-life-examples"},
    "audit train:make --sch": {"--schedule", "--scheduler-every"},
    # What is behind two dashes is somebody else's, and a store is a file.
    "find -- python --": set(),
    "report my": set(),
}
# A program for each shell that completes the line in its arguments.
PROBES = {
    "bash": (
        "source SCRIPT\n"
        "compopt() { :; }\n"  # only within a real completion
        'COMP_WORDS=(dwindle "$@"); COMP_CWORD=$#\n'
        '_dwindle; printf "%s\\n" "${COMPREPLY[@]}"\n'
    ),
    # compadd and _describe only work within a real completion: these print.
    "zsh": (
        "compdef() { }; _files() { }\n"
        "compadd() { print -l -- ${(M)places:#$PREFIX*} }\n"
        "_describe() { print -l -- ${(M)${words_there%%:*}:#$PREFIX*} }\n"
        "source SCRIPT\n"
        "words=(dwindle $@); CURRENT=$#words; PREFIX=$words[-1]\n"
        "_dwindle\n"
    ),
    "fish": (
        "source SCRIPT\n"
        'complete -C "dwindle $argv" | string split -f1 \\t | '
        "string match -v -r '/$'\n"
    ),
}


@pytest.mark.parametrize("shell", PROBES)
def test_a_shell_completes(shell, tmp_path, capsys):
    """Commands, options and names are offered; a shell that is not here is no test."""
    code, script, _ = run(f"completion {shell}", capsys)
    assert code == 0
    assert [each.name for each in COMMANDS if each.name not in script] == []
    if shutil.which(shell) is None:
        return
    (tmp_path / "script").write_text(script)
    probe = tmp_path / "ask"
    probe.write_text(PROBES[shell].replace("SCRIPT", str(tmp_path / "script")))
    for line, offered in OFFERED.items():
        done = subprocess.run(
            [shell, probe, *line.split()],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path / "..",
        )
        assert not done.stderr, line
        assert set(done.stdout.split()) == offered, line


def test_another_shell_is_refused(capsys):
    """A shell that has no script is answered with those that have one."""
    refused = error_of("completion bsh", capsys)["facts"]
    assert refused["name"] == "bsh"
    assert refused["nearest"][0] == "bash"
    assert as_json("completion fish", capsys)["shell"] == "fish"
