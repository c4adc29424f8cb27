"""What is dfm? A data federation mesh: pipelines over operations that the sites of a federation offer."""

from dfm import _find

_find.install()


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib import metadata  # which few ask for

        return metadata.version("data-federation-mesh")
    raise AttributeError(f"module 'dfm' has no attribute '{name}'")
