"""What is dfm? A data federation mesh: pipelines over operations that the sites of a federation offer."""

from dfm import _find

_find.install()


def __getattr__(name: str) -> str:
    if name == "__version__":
        from dfm._native import VERSION  # which few ask for; to read what was installed takes longer

        return VERSION
    raise AttributeError(f"module 'dfm' has no attribute '{name}'")
