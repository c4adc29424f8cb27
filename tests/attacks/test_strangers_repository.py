"""What can a repository that a stranger wrote do when somebody runs dfm in its folder?"""

import re
import subprocess
from pathlib import Path

import pytest

projects = pytest.importorskip("dfm.flare._project")

CONFIGURATION = """\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: fed, description: From a stranger}
operations:
  work.Add: {description: Adds, parameters: {a: {type: integer}}, required: [a]}
sites:
  home: {}
  server: {}
  away: {}
"""
PROJECT = """\
api_version: 3
name: strange
description: From a stranger
participants:
  - {name: server, type: server, org: far, fed_learn_port: 8102, default_host: localhost, host_names: [127.0.0.1]}
  - {name: away, type: client, org: far}
  - {name: home@far.example, type: admin, org: far, role: lead}
"""


class Repository:
    """A stranger's repository, and dfm in its folder."""

    def __init__(self, folder: Path, command: Path) -> None:
        self.folder, self.command = folder / "repository", command
        self.write("packages/fed/f.dfm.yaml", CONFIGURATION)
        self.project(PROJECT)
        record = "{federation_dir: packages/fed, config_path: f.dfm.yaml, project_path: project.yaml}"
        self.write("federations.yaml", f"federations:\n  strange: {record}\n")

    def write(self, path: str, text: str) -> Path:
        """Writes a file of it, and its folder."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def project(self, text: str) -> None:
        """Writes its NVFlare project."""
        self.write("packages/fed/project.yaml", text)

    def dfm(self, *words: str, memory: int | None = None) -> subprocess.CompletedProcess[str]:
        """Runs the command there, with this many bytes of memory at most."""
        bounded = ["prlimit", f"--data={memory}"] if memory else []
        words = (*bounded, str(self.command), *words)
        return subprocess.run(words, cwd=self.folder, capture_output=True, text=True, timeout=120)


@pytest.fixture
def repository(tmp_path: Path, command: Path) -> Repository:
    return Repository(tmp_path, command)


@pytest.mark.parametrize(
    "words",
    [
        "doctor",
        "fed check strange",
        "fed gen provision strange",
        "fed plan strange pipeline.py",
        "fed submit strange --target local pipeline pipeline.py",
        "jobs list strange --poc",
        "poc start -f strange --prepare-only",
        "poc wait -f strange --timeout 1",
        "poc status -f strange",
    ],
)
def test_no_module_in_the_current_folder_is_imported(repository: Repository, words: str) -> None:
    # There are kits to ask about before the trap is there.
    assert repository.dfm("fed", "gen", "code", "strange").returncode == 0
    made = repository.dfm("poc", "start", "-f", "strange", "--prepare-only")
    assert made.returncode == 0, made.stderr
    pipeline = (
        "from dfm.api import Pipeline\n\ndef get_pipeline():\n    with Pipeline() as p:\n        pass\n    return p\n"
    )
    repository.write("elsewhere/pipeline.py", pipeline)
    trap = f"open({str(repository.folder / 'sprung')!r}, 'a').write(__name__)\nraise ImportError(__name__)\n"
    for module in ("json", "yaml", "asyncio", "platform", "socket", "nvflare", "dfm"):
        repository.write(f"{module}.py", trap)
    repository.dfm(*words.replace("pipeline.py", "elsewhere/pipeline.py").split())
    assert not (repository.folder / "sprung").exists(), (repository.folder / "sprung").read_text()


def victim(folder: Path) -> Path:
    """A folder that nothing may happen to."""
    folder.mkdir()
    (folder / "thesis.txt").write_text("years of work")
    return folder


@pytest.mark.parametrize("way", ["absolute", "dots", "dot", "line"])
def test_a_projects_name_leads_nowhere(repository: Repository, tmp_path: Path, way: str) -> None:
    other = victim(tmp_path / "victim")
    name = {"absolute": str(other), "dots": "../../../victim", "dot": ".", "line": '"victim\\n"'}[way]
    repository.project(PROJECT.replace("name: strange\n", f"name: {name}\n"))
    checked = repository.dfm("fed", "check", "strange")
    assert checked.returncode == 2 and "project-invalid-name" in checked.stderr, checked.stderr
    assert "project.yaml:2:7" in checked.stderr
    done = repository.dfm("fed", "gen", "provision", "strange", "--clean")
    assert done.returncode == 2, done.stderr
    assert (other / "thesis.txt").exists() and len(list(other.iterdir())) == 1
    assert not (repository.folder / "workspace").exists()
    # Nor does it for whoever asks Python alone.
    with pytest.raises(projects.ProjectError, match="cannot be the name of a project"):
        projects.load(repository.folder / "packages" / "fed" / "project.yaml", ())


def test_a_participants_name_leads_nowhere(repository: Repository, tmp_path: Path) -> None:
    line = f"  - {{name: {tmp_path / 'planted'}, type: robot, org: far}}\n"
    repository.project(PROJECT + line)
    checked = repository.dfm("fed", "check", "strange")
    assert checked.returncode == 2 and "project-unknown-type" in checked.stderr, checked.stderr
    assert repository.dfm("fed", "gen", "provision", "strange").returncode == 2
    assert not (tmp_path / "planted").exists()
    with pytest.raises(projects.ProjectError, match="line 8: NVFlare has no participants of type 'robot'"):
        projects.load(repository.folder / "packages" / "fed" / "project.yaml", ())


@pytest.mark.parametrize("words", ["fed gen provision NAME --clean", "poc cleanup -f NAME", "poc start -f NAME"])
def test_a_federations_name_leads_nowhere(repository: Repository, tmp_path: Path, words: str) -> None:
    name = str(tmp_path / "victim")
    other = victim(tmp_path / ("victim_poc" if "poc" in words else "victim"))
    registry = repository.folder / "federations.yaml"
    registry.write_text(registry.read_text().replace("strange:", f"{name}:"))
    done = repository.dfm(*words.replace("NAME", name).split())
    assert done.returncode == 2 and "registry-invalid-name" in done.stderr, done.stderr
    assert "federations.yaml:2:3" in done.stderr
    assert (other / "thesis.txt").exists() and len(list(other.iterdir())) == 1


@pytest.mark.parametrize("place", ["workspace/strange", "workspace/strange/strange"])
def test_no_kits_are_made_or_removed_where_a_link_leads(repository: Repository, tmp_path: Path, place: str) -> None:
    other = victim(tmp_path / "strange")
    (repository.folder / place).parent.mkdir(parents=True)
    (repository.folder / place).symlink_to(tmp_path if place == "workspace/strange" else other)
    for options in ((), ("--clean",)):
        done = repository.dfm("fed", "gen", "provision", "strange", *options)
        assert done.returncode == 2 and "is a link" in done.stderr, done.stderr
        assert (other / "thesis.txt").exists() and len(list(other.iterdir())) == 1


@pytest.mark.parametrize(
    "words",
    [
        "fed gen provision strange",
        "fed gen provision strange --clean",
        "poc start -f strange --prepare-only",
        "poc cleanup -f strange",
        "jobs list strange",
    ],
)
def test_a_workspace_that_is_a_link_leads_to_nobodys_root_of_trust(
    repository: Repository, tmp_path: Path, words: str
) -> None:
    # Those of another federation of the user's, of which the stranger knows the name.
    for made in ("fed gen provision strange", "poc start -f strange --prepare-only"):
        assert repository.dfm("--workspace", str(tmp_path / "victim"), *made.split()).returncode == 0
    (repository.folder / "workspace").symlink_to("../victim")
    known = {path: path.read_bytes() for path in (tmp_path / "victim").rglob("*") if path.is_file()}
    repository.project(PROJECT + "  - {name: more@far.example, type: admin, org: far, role: project_admin}\n")
    done = repository.dfm(*words.split())
    assert done.returncode == 2 and "error[workspace-link]" in done.stderr, done.stderr
    assert "--workspace DIR" in done.stderr and "DFM_WORKSPACE" in done.stderr
    assert {path: path.read_bytes() for path in (tmp_path / "victim").rglob("*") if path.is_file()} == known
    # A user may have such a link, and says so.
    done = repository.dfm("--workspace", "workspace", "fed", "gen", "provision", "strange")
    assert done.returncode == 0, done.stderr


def test_nothing_is_removed_that_is_no_kits(repository: Repository, tmp_path: Path) -> None:
    other = victim(tmp_path / "strange")
    other.chmod(0o700)
    (repository.folder / "workspace").mkdir()
    (repository.folder / "workspace" / "strange").mkdir()
    other = other.rename(repository.folder / "workspace" / "strange" / "strange")
    done = repository.dfm("fed", "gen", "provision", "strange", "--clean")
    assert done.returncode == 2 and "thesis.txt" in done.stderr, done.stderr
    assert (other / "thesis.txt").exists()


@pytest.mark.parametrize("of", ["project", "participant"])
def test_no_file_of_the_users_gets_into_kits(repository: Repository, tmp_path: Path, of: str) -> None:
    secret = tmp_path / "id_ed25519"
    certificate = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    repository.project(
        PROJECT + f"custom_ca_cert: {secret}\n"
        if of == "project"
        else PROJECT.replace("type: client", f"type: client, custom_ca_cert: {secret}")
    )
    for text in ("my key\n", f"{certificate}my key\n", f"my key\n{certificate}"):
        secret.write_text(text)
        done = repository.dfm("fed", "gen", "provision", "strange")
        assert done.returncode == 2 and "is no file of certificates" in done.stderr, done.stderr
        assert f"project.yaml, line {8 if of == 'project' else 6}" in done.stderr
    secret.write_text(certificate * 2)
    assert repository.dfm("fed", "gen", "provision", "strange").returncode == 0
    (copied, *_) = repository.folder.glob("workspace/strange/strange/prod_00/*/startup/customRootCA.pem")
    assert copied.read_text() == certificate * 2


def checked(repository: Repository, code: str, line: int) -> str:
    """That `dfm fed check` tells what provisioning refuses, at this line; what it says."""
    told = repository.dfm("fed", "check", "strange").stderr
    assert re.search(rf"\[{code}\].*\n.*project\.yaml:{line}:", told), told
    return told


@pytest.mark.parametrize(
    ("mended", "line"),
    [
        (("  - path: nvflare.lighter.impl.cert.CertBuilder\n", ""), 8),
        (("workspace.WorkspaceBuilder\n", "workspace.WorkspaceBuilder\n  - args: {}\n"), 10),
        (("signature.SignatureBuilder", "helm_chart.HelmChartBuilder"), 12),
        (
            (
                "  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder\n",
                "  - path: nvflare.lighter.impl.signature.SignatureBuilder\n"
                "  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder\n",
            ),
            9,
        ),
    ],
)
def test_builders_of_which_no_kits_are_made_are_told_by_check(
    repository: Repository, mended: tuple[str, str], line: int
) -> None:
    repository.project(PROJECT + BUILDERS.replace(*mended))
    assert repository.dfm("fed", "gen", "provision", "strange").returncode == 2
    checked(repository, "project-wrong-builder", line)


BUILDERS = """\
builders:
  - path: nvflare.lighter.impl.workspace.WorkspaceBuilder
  - path: nvflare.lighter.impl.static_file.StaticFileBuilder
  - path: nvflare.lighter.impl.cert.CertBuilder
  - path: nvflare.lighter.impl.signature.SignatureBuilder
"""


@pytest.mark.parametrize(
    "builder",
    [
        "subprocess.Popen",
        "nvflare.lighter.impl.cert.json.dump",
        "nvflare.lighter.impl.workspace.make_dirs",
        "nvflare.lighter.impl.cert.Participant",
        "nvflare.lighter.impl..cert.CertBuilder",
        "nvflare.lighter.implanted.Builder",
    ],
)
def test_no_builder_of_a_project_runs_a_program(repository: Repository, builder: str) -> None:
    arguments = f"{{args: [touch {repository.folder / 'sprung'}], shell: true}}" if "Popen" in builder else "{}"
    repository.project(PROJECT + BUILDERS + f"  - path: {builder}\n    args: {arguments}\n")
    checked = repository.dfm("fed", "check", "strange")
    if not builder.startswith("nvflare.lighter.impl."):
        assert "warning[project-own-builder]" in checked.stderr and "project.yaml:13:11" in checked.stderr
        assert f"--allow-builder {builder}" in checked.stderr, checked.stderr
    for words in ("fed gen provision strange", "poc start -f strange --prepare-only"):
        done = repository.dfm(*words.split())
        assert done.returncode == 2, done.stderr
        assert "project.yaml, line" in done.stderr and builder in done.stderr and "Traceback" not in done.stderr
    # What the user allows has to be a builder all the same.
    done = repository.dfm("fed", "gen", "provision", "strange", "--allow-builder", builder)
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert not (repository.folder / "sprung").exists()
    assert not list(repository.folder.glob("workspace/*/strange"))


STATIC, CERT, DOCKER = (
    f"nvflare.lighter.impl.{name}"
    for name in ("static_file.StaticFileBuilder", "cert.CertBuilder", "docker.DockerBuilder")
)


@pytest.mark.parametrize(
    "arguments",
    [
        '{config_folder: "config$(touch sprung)"}',
        '{config_folder: "config; touch sprung"}',
        '{config_folder: "config\\ntouch sprung"}',
        '{docker_image: "--privileged"}',
        '{docker_image: [far/image, "`touch sprung`"]}',
        '{docker_image: {"`touch sprung`": 1}}',
    ],
)
def test_no_argument_of_a_builder_is_a_program(repository: Repository, arguments: str) -> None:
    builders = BUILDERS.replace(STATIC, f"{STATIC}\n    args: {arguments}")
    repository.project(PROJECT + builders)
    for words in ("fed gen provision strange", "poc start -f strange --prepare-only"):
        done = repository.dfm(*words.split())
        assert done.returncode == 2 and "project.yaml, line 11: " in done.stderr, done.stderr
        assert "Traceback" not in done.stderr and f"--allow-builder {STATIC}" in done.stderr
    told = checked(repository, "project-open-argument", 11)
    assert f"--allow-builder {STATIC}" in told
    assert not list(repository.folder.glob("workspace/*/strange"))
    # The user may have read them.
    repository.project(PROJECT + BUILDERS.replace(STATIC, f'{STATIC}\n    args: {{config_folder: "a b"}}'))
    assert repository.dfm("fed", "gen", "provision", "strange").returncode == 2
    done = repository.dfm("fed", "gen", "provision", "strange", "--allow-builder", STATIC)
    assert done.returncode == 0, done.stderr


def test_honest_arguments_of_builders_are_taken(repository: Repository) -> None:
    image = "registry.far.example:5000/nvflare/nv_flare-x@sha256:0123456789abcdef"
    arguments = f"{{config_folder: config, scheme: grpc, docker_image: {image}, require_signed_jobs: true}}"
    builders = BUILDERS.replace(STATIC, f"{STATIC}\n    args: {arguments}")
    repository.project(PROJECT + builders.replace(CERT, f"{CERT}\n    args: {{root_valid_days: 400}}"))
    assert "project-" not in repository.dfm("fed", "check", "strange").stderr.replace("project-no-server-site", "")
    done = repository.dfm("fed", "gen", "provision", "strange")
    assert done.returncode == 0, done.stderr
    assert image in next(repository.folder.glob("workspace/*/*/prod_00/away/startup/docker.sh")).read_text()


@pytest.mark.parametrize(
    "given",
    [
        'capacity: {num_gpus: "0}}], \\"components\\": [{\\"path\\": \\"subprocess.Popen\\"}], \\"a\\": [{\\"b\\": {"}',
        "capacity: {mem_per_gpu_in_GiB: [1]}",
        "capacity: 3",
        'fed_learn_port: "8002\\ntouch sprung"',
        'admin_port: "8002, 1"',
        'edge_service_port: "8002, 1"',
        "admin_port: ٨٠",
    ],
)
def test_no_number_of_a_participant_is_a_program(repository: Repository, given: str) -> None:
    repository.project(PROJECT.replace("type: client", f"type: client, {given}"))
    done = repository.dfm("fed", "gen", "provision", "strange")
    assert done.returncode == 2 and "project.yaml:6:" in done.stderr and "Traceback" not in done.stderr, done.stderr
    checked(repository, "project-no-number", 6)
    with pytest.raises(projects.ProjectError, match="project.yaml, line 6: .*number"):
        projects.load(repository.folder / "packages/fed/project.yaml", ())
    assert not list(repository.folder.glob("workspace/*/strange"))


@pytest.mark.parametrize("way", ["absolute", "dots", "link", "link of the usual name", "none"])
def test_no_file_of_the_users_is_what_an_image_requires(repository: Repository, tmp_path: Path, way: str) -> None:
    secret = tmp_path / "id_ed25519"
    secret.write_text("my key\n")
    link = repository.folder / "packages" / "fed" / ("requirements.txt" if "usual" in way else "link.txt")
    link.symlink_to(secret)
    given = {"absolute": str(secret), "dots": "../../../id_ed25519", "link": "link.txt", "none": "none.txt"}.get(way)
    arguments = f"\n    args: {{requirements_file: {given}}}" if given else ""
    repository.project(PROJECT + BUILDERS + f"  - path: {DOCKER}{arguments}\n")
    done = repository.dfm("fed", "gen", "provision", "strange")
    assert done.returncode == 2 and "project.yaml, line" in done.stderr, done.stderr
    assert "no file in the folder of the project" in done.stderr, done.stderr
    assert f"--allow-builder {DOCKER}" in checked(repository, "project-open-argument", 13 + (given is not None))
    assert not list(repository.folder.glob("workspace/*/strange"))


def test_what_an_image_requires_lies_beside_the_project(repository: Repository) -> None:
    repository.write("packages/fed/requirements.txt", "numpy\n")
    repository.project(PROJECT + BUILDERS + f"  - path: {DOCKER}\n")
    done = repository.dfm("fed", "gen", "provision", "strange")
    assert done.returncode == 0, done.stderr
    (copied,) = repository.folder.glob("workspace/*/*/prod_00/nvflare_compose/requirements.txt")
    assert copied.read_text() == "numpy\n"


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("fed gen provision strange", "workspace/strange/.lock"),
        ("fed gen provision strange", "workspace/strange/project.yaml"),
        ("poc start -f strange --prepare-only", "workspace/strange_poc/.poc"),
        ("poc start -f strange --prepare-only", "workspace/strange_poc/.lock"),
        ("poc start -f strange --prepare-only", "workspace/strange_poc/run/kits"),
    ],
)
def test_no_link_in_a_workspace_is_written_through(
    repository: Repository, tmp_path: Path, words: str, file: str
) -> None:
    registry = repository.folder / "federations.yaml"
    registry.write_text(registry.read_text().replace(", project_path: project.yaml", ""))
    (tmp_path / "bashrc").write_text("alias ll='ls -l'\n")
    link = repository.folder / file
    link.parent.mkdir(parents=True)
    # As who unpacks an archive gets it.
    for folder in (repository.folder / "workspace").rglob("*/"):
        folder.chmod(0o700)
    link.symlink_to(tmp_path / "bashrc")
    done = repository.dfm(*words.split())
    assert (tmp_path / "bashrc").read_text() == "alias ll='ls -l'\n"
    assert "Traceback" not in done.stderr
    # Where it was no use to write elsewhere, it was written here, or told why not.
    assert not link.is_symlink() if done.returncode == 0 else str(link) in done.stderr, done.stderr


@pytest.mark.parametrize("words", ["fed gen provision strange", "poc start -f strange --prepare-only"])
def test_a_root_of_trust_that_a_repository_brings_is_not_taken(repository: Repository, words: str) -> None:
    made = repository.dfm("--json", *words.split())
    assert made.returncode == 0, made.stderr
    (state,) = repository.folder.glob("workspace/*/strange/state")
    root = next(state.parent.glob("prod_00/*/startup/rootCA.pem")).read_bytes()
    # As git has it: nothing is for its owner alone.
    for path in [*(repository.folder / "workspace").rglob("*"), repository.folder / "workspace"]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    done = repository.dfm(*words.split())
    assert done.returncode == 2 and "others may read" in done.stderr and "chmod -R go=" in done.stderr, done.stderr
    # And with a umask that keeps others out.
    for path in [*(repository.folder / "workspace").rglob("*"), repository.folder / "workspace"]:
        path.chmod(0o700 if path.is_dir() else 0o600)
    assert repository.dfm(*words.split()).returncode == 0
    git = ["git", "-C", repository.folder, "-c", "user.name=x", "-c", "user.email=x@example.org"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    subprocess.run([*git, "add", "--force", "."], check=True)
    done = repository.dfm(*words.split())
    assert done.returncode == 2 and "git" in done.stderr and "state" in done.stderr, done.stderr
    anew = "fed gen provision strange --clean" if words.startswith("fed") else "poc restart -f strange --do-cleanup"
    assert anew.split()[-1] in done.stderr
    if words.startswith("fed"):
        assert repository.dfm(*anew.split()).returncode == 0
        assert next(state.parent.glob("prod_00/*/startup/rootCA.pem")).read_bytes() != root


def index(version: int, *paths: str) -> bytes:
    """What git keeps of these files' names; of version 4, without what each has in common with the last."""
    text, last = b"DIRC" + version.to_bytes(4, "big") + len(paths).to_bytes(4, "big"), ""
    for path in paths:
        differs = (at for at, (one, other) in enumerate(zip(last, path, strict=False)) if one != other)
        same = next(differs, min(len(last), len(path))) if version == 4 else 0
        own = path[same:].encode()
        head = bytes(60) + len(path).to_bytes(2, "big")
        text += head + (
            bytes([len(last) - same]) + own + b"\0" if version == 4 else own + bytes(8 - (62 + len(own)) % 8)
        )
        last = path
    return text + bytes(20)


@pytest.mark.parametrize(
    ("git", "said"),
    [
        ("plain", "is in the git repository"),
        ("file", "is in the git repository"),
        ("relative file", "is in the git repository"),
        ("kits", "is in the git repository"),
        ("state", "is in the git repository"),
        ("split", "is in the git repository"),
        ("version 4", "git -C"),
        ("split of version 4", "git -C"),
        ("garbage", "cannot be read"),
        ("folder for an index", "cannot be read"),
        ("file that leads nowhere", "cannot be read"),
        ("file that never ends", "cannot be read"),
        ("no files", None),
        ("other files", None),
    ],
)
def test_a_repositorys_root_of_trust_is_known_however_git_keeps_it(
    repository: Repository, tmp_path: Path, git: str, said: str | None
) -> None:
    assert repository.dfm("fed", "gen", "provision", "strange").returncode == 0
    state = "workspace/strange/strange/state/cert.json"
    place = repository.folder / {"kits": "workspace/strange/strange", "state": "workspace/strange/strange/state"}.get(
        git, ""
    )
    folder = tmp_path / "modules" if "file" in git.split() else place / ".git"
    if folder != place / ".git":
        led = {"relative file": "../modules", "file that leads nowhere": "/none"}.get(git, str(folder))
        (place / ".git").write_text(f"gitdir: {led}\n")
    if git == "file that never ends":
        (place / ".git").unlink()
        (place / ".git").symlink_to("/dev/zero")
    folder.mkdir(mode=0o700)
    shared = "0123456789abcdef0123456789abcdef01234567"
    tracked = {"other files": "workspace/strange/README", "kits": "state/cert.json", "state": "cert.json"}.get(
        git, state
    )
    version = 4 if "version 4" in git else 2
    if git.startswith("split"):
        (folder / f"sharedindex.{shared}").write_bytes(index(version, "workspace/a", tracked))
        (folder / "index").write_bytes(index(2) + b"link" + (20).to_bytes(4, "big") + bytes.fromhex(shared))
    elif git == "folder for an index":
        (folder / "index").mkdir()
    elif git != "no files":
        (folder / "index").write_bytes(b"garbage" if git == "garbage" else index(version, "workspace/a", tracked))
    (folder / f"sharedindex.{shared[::-1]}").write_bytes(index(2, state))  # which no index names any more
    done = repository.dfm("fed", "gen", "provision", "strange")
    if said is None:
        assert done.returncode == 0, done.stderr
        return
    assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr, done.stderr
    if said != "is in the git repository":
        assert "update-index --no-split-index --index-version 2" in done.stderr and "--workspace DIR" in done.stderr


@pytest.mark.parametrize(
    "what", ["*long", "{*long : 1}", "{<<: *keys, more: 1}", "{$ref: '#/schemas/Long/description'}"]
)
def test_a_text_that_is_repeated_takes_no_memory(repository: Repository, what: str) -> None:
    schemas = (
        f"schemas:\n  Long: {{type: integer, description: &long {'x' * (4 << 20)}}}\n  Keys: &keys {{*long : 1}}\n"
    )
    repeated = "".join(f"  S{index}: {{type: integer, description: {what}}}\n" for index in range(400))
    repository.write("packages/fed/f.dfm.yaml", CONFIGURATION + schemas + repeated)
    done = repository.dfm("fed", "check", "strange", memory=512 << 20)
    assert done.returncode == 2, done.stderr[-1000:]
    # At the line of the one that is too much.
    assert re.search(r"config-too-large.*\n +--> packages/fed/f.dfm.yaml:1[2-9]:", done.stderr), done.stderr[-1000:]
