"""dwindle suggest: a first value, from published recipes."""

from dwindle.cli.facts import ALL_NOTES, FACT_OPTIONS, WrittenFacts
from dwindle.cli.kinds import KIND_OPTIONS, kind_of
from dwindle.cli.options import Option
from dwindle.cli.output import print_json, show
from dwindle.decay.evidence.suggest import suggest

KNOB = Option("KNOB", "where it is to be typed: torch.optim.AdamW", required=True)
DOMAIN = Option("--domain", "vision, language, speech: recipes of that", "NAME")
OPTIONS = (KNOB, *FACT_OPTIONS, *KIND_OPTIONS, DOMAIN, ALL_NOTES)


def command(
    *,
    knob: str,
    domain: str | None,
    as_json: bool,
    all_notes: bool,
    **words: object,
) -> None:
    """Suggest a first value of weight decay, from published recipes of that kind.

    Recipes of one class, optimizer family and domain are carried to your lr, batch and
    length by the exponents that rescale goes by; none of it above what they type.
    """
    run = WrittenFacts.from_words(words).run("dwindle suggest")
    found = suggest(knob, run=run, domain=domain, **kind_of(words))
    if as_json:
        print_json(found.as_dict())
    else:
        show("", found.drawn(all_notes=all_notes), "")
