"""What does a test of adapters and pipelines need?

A whole federation in the test's own process: no other process, no socket, no network. Its sites have the real engine
and exchange the real messages, so that what works here works on every target.
"""

from dfm.exec._site import Asker
from dfm.testing._clock import Clock
from dfm.testing._federation import Federation, federation_fixture
from dfm.testing._plans import assert_plan

__all__ = ["Asker", "Clock", "Federation", "assert_plan", "federation_fixture"]
