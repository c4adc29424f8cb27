"""Which names belong to the API but cannot be used yet?

Each is refused when it is called, so that no part of a pipeline is dropped silently.
"""

from typing import Any, Never

from dfm.api._lines import user_line
from dfm.errors import PipelineError


class _Unavailable:
    def __new__(cls, *args: Any, **kwargs: Any) -> Never:
        raise PipelineError(f"{cls.__name__} is not available yet; {cls.__doc__}", user_line())


class TryFromCache(_Unavailable):
    """look into the cache inside an operation, through its site's cache_storage"""
