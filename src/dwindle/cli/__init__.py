"""The command line: one file per command, no mathematics.

A command is a row of ``commands.toml`` and a module ``dwindle.cli.NAME``, or what its
``home`` names. The module is imported only when its command runs, and has two names::

    OPTIONS = (
        Option("STUDY.toml", "the study file", required=True),  # a place
        Option("--store", "where results are kept", "PATH"),    # takes a value
        Option("--quick", "a minute instead of three"),         # a flag
    )

    def command(*, study_toml: str, store: str | None, quick: bool, as_json: bool):
        \"\"\"One sentence: what it does; then the rest of the help page.\"\"\"

Every option arrives as a keyword argument (lower case, ``-`` and ``.`` as ``_``): a
flag as bool, the others as ``option.read`` makes of them, None where not given;
``--json`` is on every command and arrives as ``as_json``.

A command prints data through :mod:`dwindle.cli.output`: ``print_json(plain)`` under
``--json``, otherwise ``stdout().print(...)``; progress and notes go to ``stderr()``.
It raises :class:`dwindle.errors.DwindleError` for everything that a user can fix:
:func:`dwindle.cli.main.main` turns it into text on stderr (with ``--json`` also into
an error object on stdout) and into the exit code.

Click reads the words; typer, its friendlier sibling, imports pydantic whenever a
command runs, which takes longer than most commands do.
"""
