"""The command line: one file per command, no mathematics.

A command is a module ``dwindle.cli.NAME`` with a function ``command`` whose
signature typer reads (``Annotated[..., typer.Option(...)]``) and whose docstring is
its help, plus a row in :data:`dwindle.cli.main.COMMANDS`. The module is imported only
when its command is asked for.

A command prints data through :mod:`dwindle.cli.output`: ``print_json(plain)`` under
``--json``, otherwise ``stdout().print(...)``; progress and notes go to ``stderr()``.
It raises :class:`dwindle.errors.DwindleError` for everything that a person can mend:
:func:`dwindle.cli.main.main` turns it into text on stderr (with ``--json`` also into
an error object on stdout) and into the exit code.
"""
