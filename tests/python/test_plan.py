"""Does `dfm fed plan` say and draw where a pipeline would run, without running it?"""
# pyright: basic

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from small_federation import Small

pytestmark = pytest.mark.timeout(60)

PIPELINE = """\
from dfm.api import Pipeline, Yield
from small.fed.api import make, text

def get_pipeline(args=None):
    print("this is not the pipeline")
    with Pipeline(name="small") as p:
        Yield(value={value})
    if args:
        p.save_to_file(args[0])
    return p
"""


@pytest.fixture(scope="module")
def small(own: Small) -> Small:
    return own


def test_a_python_file_is_planned_and_drawn_and_so_is_the_saved_pipeline(small: Small, tmp_path: Path):
    file, saved, svg = (
        small.write("plan.py", PIPELINE.format(value='text.Join(first="a")')),
        tmp_path / "p.json",
        "p.svg",
    )
    drawn = ["--svg", str(tmp_path / svg), "--mermaid", str(tmp_path / "p.mmd")]
    done = small.run("fed", "plan", "small", str(file), *drawn, "--", str(saved))
    assert done.returncode == 0, done.stderr
    assert "text.Join at home" in done.stdout
    assert "at left: in use after 1 ms" in done.stdout
    assert "this is not the pipeline" in done.stderr
    assert (tmp_path / "p.mmd").read_text().startswith("flowchart TD\n")
    assert ET.parse(tmp_path / svg).getroot().tag.endswith("svg")
    again = small.run("--json", "fed", "plan", "small", str(saved))
    assert again.returncode == 0, again.stderr
    planned = json.loads(again.stdout)
    assert planned["placements"][0]["site"] == "home"
    assert [node["label"] for node in planned["estimate"]["nodes"]] == ["text.Join", "yield yield"]


def test_a_pipeline_that_was_saved_by_nv_dfm_core_is_planned_and_simulated_as_it_is_submitted(
    small: Small, tmp_path: Path
):
    def node(ident):
        return {"tag": "@dfm-node", "ident": ident}

    def statement(ident, name, **fields):
        return {"dfm_node_id": node(ident), "dfm_after": None, "dfm_class_name": name, **fields}

    join = statement(0, "small.fed.api.text.Join", provider=None, first="a", site="home")
    value = {"id": node(0), "sel": None, "issubs": True}
    given = statement(1, "nv_dfm_core.api.Yield", place="p", value=value, multiuse=False)
    saved = tmp_path / "elsewhere.json"
    saved.write_text(json.dumps({"dfm_body": [join, given], "mode": "execute", "name": "moved"}))
    done = small.run("fed", "plan", "small", str(saved))
    assert done.returncode == 0, done.stderr
    assert "text.Join at home" in done.stdout
    done = small.run("fed", "simulate", "small", str(saved))
    assert done.returncode == 0, done.stderr

    saved.write_text(json.dumps({"dfm_body": [join | {"dfm_class_name": "small.fed.api.text.Jion"}], "name": "moved"}))
    done = small.run("fed", "plan", "small", str(saved))
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {saved}") and "Jion" in done.stderr and "Traceback" not in done.stderr


def test_a_saved_plan_names_its_sites_and_is_a_pipeline(small: Small, tmp_path: Path):
    file, saved = small.write("to_place.py", PIPELINE.format(value='text.Join(first="a")')), tmp_path / "plan.json"
    done = small.run("fed", "plan", "small", str(file), "--save", str(saved))
    assert done.returncode == 0, done.stderr
    assert json.loads(saved.read_text())["statements"][0]["site"] == "home"
    done = small.run("fed", "submit", "small", "--target", "local", "pipeline", str(saved))
    assert done.returncode == 0, done.stderr
    assert "a+nothing@home" in done.stdout
    done = small.run("fed", "plan", "small", str(saved), "--save", str(tmp_path / "plan.json" / "no"))
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("words", [["plan", "small"], ["submit", "small", "--target", "local", "pipeline"]])
def test_a_file_of_another_version_is_told_from_a_damaged_one(small: Small, words: list[str]):
    newer = small.write("newer.json", '{"dfm_pipeline": 2, "steps": []}')
    damaged = small.write("damaged.json", '{"dfm_pipeline": 1, "mode": "execute", "statements": [{}]}')
    for file, told in ((newer, ("format 2", "this dfm reads format 1")), (damaged, ("kind",))):
        done = small.run("fed", *words, str(file))
        assert done.returncode == 1
        assert all(one in done.stderr for one in told), done.stderr


def test_what_cannot_run_is_said_with_the_users_line(small: Small):
    file = small.write("nowhere.py", PIPELINE.format(value='make.Value(kind="text", site="left")'))
    done = small.run("fed", "plan", "small", str(file))
    assert done.returncode == 1
    assert "nowhere.py:7" in done.stderr
    assert "right" in done.stderr


@pytest.mark.parametrize(("name", "text"), [("no.py", "x = 1"), ("no.json", "[]"), ("old.json", '{"dfm_pipeline": 7}')])
def test_a_file_without_a_pipeline_is_told_in_words(small: Small, name: str, text: str):
    done = small.run("fed", "plan", "small", str(small.write(name, text)))
    assert done.returncode in (1, 2)
    assert "error" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("[]", "", "it is a list, where an object with the key `dfm_pipeline` is expected"),
        ("{}", "", "it has no key `dfm_pipeline`"),
        ('{"dfm_pipeline": 1,\n  "mode" "execute"}', ":2:10", "it is no JSON: expected `:`"),
        (
            '{"dfm_pipeline": 1, "mode": "execute", "statements": [\n{"node": 0, "kind": "yield"}]}',
            ":2:29",
            "in a statement of kind 'yield': missing field `place`",
        ),
        ('{"dfm_pipeline": 2}', "", "the pipeline has format 2, and this dfm reads format 1"),
    ],
)
def test_what_is_wrong_with_a_saved_pipeline_is_told_with_its_place(small: Small, text: str, place: str, told: str):
    file = small.write("bad.json", text)
    (problem,) = json.loads(small.run("--json", "fed", "plan", "small", str(file)).stdout)["problems"]
    at = problem["at"]
    assert told in problem["message"] and f"`{file}`" in problem["message"]
    assert (f":{at['line']}:{at['column']}" if at else "") == place
    done = small.run("fed", "plan", "small", str(file))
    assert done.returncode == 1 and (not place or f" --> {file}{place}\n" in done.stderr), done.stderr


def test_what_leaves_a_site_is_said_and_held_against_its_policy(small: Small, tmp_path: Path):
    value = 'text.Join(first=text.Join(first="a", site="left"), site="right")'
    file = small.write("leaves.py", PIPELINE.format(value=value))
    done = small.run("fed", "plan", "small", str(file))
    assert done.returncode == 0, done.stderr
    assert "  left → right: text.Join, `records`\n  right → home: text.Join, `records`\n" in done.stdout
    policy = tmp_path / "policy.yaml"
    for kinds, code in (("records", 0), ("aggregate, model", 1)):
        policy.write_text(f"default: allow\nleaves: {{disclosures: [{kinds}]}}\n")
        done = small.run("fed", "plan", "small", str(file), "--policy-of", f"left={policy}")
        assert done.returncode == code, done.stdout + done.stderr
        if code:
            assert "leaves.py:7" in done.stderr and "plan-policy" in done.stderr
            assert "a result of 'text.Join', which tells, as it is declared, `records`" in done.stderr
            assert "lets `aggregate`, `model` leave" in done.stderr
        else:
            assert f"left → right: text.Join, `records`; let by `leaves.disclosures` of {policy}" in done.stdout
    planned = json.loads(small.run("--json", "fed", "plan", "small", str(file)).stdout)
    assert [(one["from"], one["to"], one["disclosure"]) for one in planned["leaving"]] == [
        ("left", "right", "records"),
        ("right", "home", "records"),
    ]
    done = small.run("fed", "plan", "small", str(file), "--policy-of", f"lfet={policy}")
    assert done.returncode == 2 and "did you mean `left`?" in done.stderr


RULES = """\
default: deny
rules:
  never-secret: {decision: deny, operations: ["text.*"], parameters: {first: {like: ["secret*"]}}}
  a-person: {decision: ask, users: [eve], operations: [text.Join]}
  leads: {decision: allow, roles: [lead], operations: [text.Join], parameters: {second: {one-of: [b, nothing]}}}
"""


def test_what_sites_rules_say_of_a_users_calls_is_said_and_what_they_never_allow_is_refused(
    small: Small, tmp_path: Path
):
    value = 'text.Join(first=text.Join(first="a", site="left"), site="right")'
    file = str(small.write("calls.py", PIPELINE.format(value=value)))
    policy = tmp_path / "policy.yaml"
    policy.write_text(RULES)
    plan = ("fed", "plan", "small", file, "--policy-of", f"left={policy}")
    assert "what the policies say" not in small.run(*plan).stdout, "nobody is said to call"
    never = "rule `never-secret` refuses it if `first` is like secret*"
    for user, rules in (
        ("ada", f'{never}; rule `leads` allows it if `second` is one of "b", "nothing"; `default` refuses all others'),
        ("eve", f"{never}; rule `a-person` has a person asked to approve it"),
    ):
        done = small.run(*plan, "--user", user)
        told = f"what the policies say of calls by user '{user}':\n  text.Join at left: {rules}\n"
        assert done.returncode == 0 and done.stdout.endswith(told), done.stdout + done.stderr
        (call,) = json.loads(small.run("--json", *plan, "--user", user).stdout)["calls"]
        assert (call["site"], call["operation"], "; ".join(call["rules"])) == ("left", "text.Join", rules)
    done = small.run(*plan, "--user", "ada", "--role", "member")
    assert done.returncode == 1 and "calls.py:7" in done.stderr
    assert f"site 'left' would refuse 'text.Join' to user 'ada', by {policy}: {never}; `default` refuses" in done.stderr
    assert small.run("fed", "plan", "small", file, "--user", "ada").returncode == 2, "there is no policy to ask"
