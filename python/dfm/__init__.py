"""What is dfm? A data federation mesh: pipelines over operations that the sites of a federation offer."""

from dfm import _find

_find.install()
