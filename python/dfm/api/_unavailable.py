"""Which names belong to the API but cannot be used yet?

Each is refused when it is called, so that no part of a pipeline is dropped silently.
"""

from typing import Any, Never

from dfm.api._lines import user_line
from dfm.errors import PipelineError


class _Unavailable:
    def __new__(cls, *args: Any, **kwargs: Any) -> Never:
        raise PipelineError(f"{cls.__name__} is not available yet; {cls.__doc__}", user_line())


class _Condition(_Unavailable):
    def __new__(cls, *args: Any, **kwargs: Any) -> Never:
        raise PipelineError(
            f"the condition {cls.__name__} is not available yet; compare inside an operation", user_line()
        )


class ForEach(_Unavailable):
    """loop inside an operation, or execute the pipeline with one set of parameters for each element"""


class If(_Unavailable):
    """decide inside an operation, or before the pipeline is built"""


class TryFromCache(_Unavailable):
    """look into the cache inside an operation, through its site's cache_storage"""


class Retry(_Unavailable):
    """try again inside an operation"""


class And(_Condition): ...


class Or(_Condition): ...


class Not(_Condition): ...


class Equal(_Condition): ...


class NotEqual(_Condition): ...


class GreaterThan(_Condition): ...


class GreaterThanOrEqual(_Condition): ...


class LessThan(_Condition): ...


class LessThanOrEqual(_Condition): ...
