"""How do three clinics fit one model to the tumours of all, on dfm? As the example does."""
# pyright: basic, reportMissingImports=false

from clinics.apps.learn import make_pipeline
from clinics.fed.runtime.home import get_session
from shared import CLINICS, told


def main() -> None:
    """Learns in one session."""
    pipeline = make_pipeline([f"clinic{number}" for number in range(1, CLINICS + 1)])
    with get_session(target="local") as session:

        def learn() -> tuple[list[float], int]:
            found = session.run(pipeline)
            return found["weights"][0], found["rounds"][0]

        told(learn)


if __name__ == "__main__":
    main()
