"""Published recipes pass: what their authors wrote is no error and no warning."""

import pytest
from pytorch.clean_recipes import RECIPES

from dwindle.pytorch.audit import audit


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_published_recipe_is_no_warning(recipe):
    """Notes may be found in it; nothing that would fail a check."""
    program = recipe.build()
    found = audit(
        program.model, program.optimizer, scheduler=program.scheduler, run=program.run
    )
    told = [(each.code, each.evidence) for each in found.findings]
    assert found.exit_code == 0, (recipe.source, told)
    assert "DW017" not in [code for code, _ in told]
