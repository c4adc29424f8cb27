"""How do three clinics fit one model to the tumours of all, on plain NVFlare?"""
# pyright: basic, reportMissingImports=false

from pathlib import Path

from nvflare.job_config.api import FedJob
from nvflare.job_config.script_runner import FrameworkType, ScriptRunner
from nvflare.recipe.sim_env import SimEnv
from nvflare.recipe.spec import Recipe
from server import Learn
from shared import CLINICS


def main() -> None:
    """Simulates server and clinics."""
    job = FedJob(name="learn", min_clients=CLINICS)
    job.to_server(Learn())
    # After so many seconds a clinic asks for its next task; NVFlare has 2.
    job.to_server({"server": {"task_request_interval": 0.1}})
    script = Path(__file__).with_name("client.py")
    job.to_clients(ScriptRunner(script=str(script), framework=FrameworkType.RAW))
    Recipe(job).execute(SimEnv(num_clients=CLINICS, workspace_root=str(Path("nvflare").resolve())))


if __name__ == "__main__":
    main()
