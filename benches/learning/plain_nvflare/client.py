"""What does a clinic answer?"""
# pyright: basic, reportMissingImports=false, reportOptionalMemberAccess=false, reportOptionalSubscript=false

import nvflare.client as flare
from clinics.lib.logistic import moments, terms
from nvflare.app_common.abstract.fl_model import FLModel
from shared import tumours


def main() -> None:
    """Answers until the job is over."""
    flare.init()
    measures, labels = tumours(int(flare.get_site_name().removeprefix("site-")))
    while flare.is_running():
        given = flare.receive().params
        if flare.get_task_name() == "moments":
            values = moments(measures)
        else:
            values = terms(measures, labels, given, given["weights"])
        flare.send(FLModel(params=values))


if __name__ == "__main__":
    main()
