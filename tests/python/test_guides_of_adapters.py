"""Do the adapters, vaults and rules that the guides show do what the pages say, in a federation around them?"""

import subprocess
import sys
from pathlib import Path

import pytest
from guide import Guide, shown

COUNT = "operations:\n  records.Count: {parameters: {year: {type: integer}}, required: [year], returns: integer}\n"


def interface(site: str, page: str, words: str) -> str:
    return f"sites:\n  app: {{}}\n  {site}:\n    interface:\n" + shown(page, words, within=6)


def test_an_adapter_and_its_binding(command: Path, tmp_path: Path) -> None:
    (tmp_path / "2024.csv").write_text("1\n2\n3\n")
    binding = interface("office", "adapters.md", "shop.lib.Count").replace("/srv/records", str(tmp_path))
    guide = Guide(tmp_path, command, "shop", COUNT + binding, shown("adapters.md", "class Count"))
    said = guide.tried(
        """
        print(federation.call("office", "records.Count", year=2024))
        try:
            federation.call("office", "records.Count", year=1999)
        except Public as error:
            print(error)
        """
    )
    assert said.splitlines() == ["3", "there are no records of 1999"]


def test_values_before_the_result(command: Path, tmp_path: Path) -> None:
    config = """\
operations:
  images.Look: {parameters: {images: {type: array}}, required: [images], returns: number}
sites:
  app: {}
  lab: {interface: {"#/operations/images.Look": {adapter: images.lib.Look, args: from-operation}}}
"""
    body = shown("adapters.md", "async def body(self, images", within=4).replace("...", "pass\n        return 0.5")
    library = "Image = str\n\n\nclass Look:\n    def __init__(self, site: Any) -> None:\n        self.site = site\n\n"
    guide = Guide(tmp_path, command, "images", config, library + body)
    said = guide.tried(
        """
        from images.fed.api import images
        with Pipeline() as pipeline:
            Yield(value=images.Look(site="lab", images=["a", "b"]), place="progress")
        print(session.run(pipeline))
        """
    )
    assert said == "{'progress': [0, 1, 0.5]}\n"


def test_what_an_adapter_begins_ends_and_keeps(command: Path, tmp_path: Path) -> None:
    operation = (
        "operations:\n  images.Predict: {parameters: {image: {type: string}}, required: [image], returns: string}\n"
    )
    library = """\
class Image: ...


class Model:
    def label(self, image: Any) -> str:
        return f"a {image}"

    async def close(self) -> None:
        print("closed")


async def load_model() -> Model:
    print("loaded")
    return Model()


from dfm.exec import Site


"""
    binding = interface("lab", "adapters.md", "images.lib.Predict")
    guide = Guide(tmp_path, command, "images", operation + binding, library + shown("adapters.md", "class Predict"))
    said = guide.tried(
        """
        from images.fed.api import images
        with Pipeline() as pipeline:
            Yield(value=images.Predict(site="lab", image=PlaceParam("image")))
        for image in ("cat", "dog"):
            print(session.run(pipeline, image=image))
        """
    )
    lines = ["loaded", "{'yield': ['a cat']}", "{'yield': ['a dog']}", "closed"]
    assert said.splitlines() == lines


def test_a_refusal_in_words_of_the_adapters_own(command: Path, tmp_path: Path) -> None:
    library = (
        "from dfm.errors import Public\n\n\n"
        "class Count:\n    def body(self, year: int) -> int:\n        rows = [year]\n"
    )
    (_, refusal) = shown("policy.md", "fewer than 10 rows").split("\n\n")
    library += "\n".join(f"        {line}" for line in refusal.splitlines()) + "\n        return 10\n"
    binding = interface("office", "adapters.md", "shop.lib.Count").replace(", args: {folder: /srv/records}", "")
    guide = Guide(tmp_path, command, "shop", COUNT + binding, library)
    said = guide.tried(
        """
        try:
            federation.call("office", "records.Count", year=2024)
        except Public as error:
            print(error)
        """
    )
    assert said == "fewer than 10 rows match; ask for more\n"


def test_a_secret_and_the_vault_that_has_it(command: Path, tmp_path: Path) -> None:
    (tmp_path / "api-key").write_text("sesame\n")
    library = """\
class Forecast:
    def body(self, city: str, key: str) -> str:
        return f"{city} by a key of {len(key)} letters"


"""
    operation = (
        "operations:\n  weather.Forecast: {parameters: {city: {type: string}}, required: [city], returns: string}\n"
    )
    vault = shown("secrets.md", "secrets_vault", within=4).replace("/run/secrets", str(tmp_path))
    config = operation + interface("north", "secrets.md", "from-secrets").replace(
        "adapter: weather.lib.Forecast", "adapter: weather.lib.Forecast\n        is-async: false"
    )
    guide = Guide(tmp_path, command, "weather", config + vault, library + shown("secrets.md", "class Vault"))
    said = guide.tried('print(federation.call("north", "weather.Forecast", city="Oslo"))')
    assert said == "Oslo by a key of 6 letters\n"


def test_providers_of_a_site(command: Path, tmp_path: Path) -> None:
    library = """\
class Sensor:
    unit = "celsius"

    def __init__(self, site: Any, port: str) -> None:
        self.port = port


class Read:
    def __init__(self, site: Any, provider: Any) -> None:
        self.provider = provider

    async def body(self, unit: str) -> str:
        return unit
"""
    config = "operations:\n  weather.Read: {returns: string}\n" + shown("providers.md", "new.unit").replace(
        "sites:", "sites:\n  app: {}"
    )
    guide = Guide(tmp_path, command, "weather", config, library)
    said = guide.tried(
        """
        from weather.fed.api import weather
        with Pipeline() as pipeline:
            for provider in ("old", "new"):
                Yield(value=weather.Read(site="roof", provider=provider), place=provider)
        print(session.run(pipeline))
        """
    )
    assert said == "{'old': ['fahrenheit'], 'new': ['celsius']}\n"


def test_a_type_of_ones_own(command: Path, tmp_path: Path) -> None:
    library = """\
class Polygon:
    def __init__(self, corners: list[int]) -> None:
        self.corners = corners


def polygon_of(corners: Any) -> Polygon:
    return Polygon(corners)


class Draw:
    async def body(self) -> Polygon:
        return Polygon([1, 2, 3])


"""
    config = """\
operations:
  shapes.Draw: {returns: object}
sites:
  app: {}
  north: {interface: {"#/operations/shapes.Draw": {adapter: shapes.lib.Draw}}}
"""
    guide = Guide(tmp_path, command, "shapes", config, library + shown("values.md", "dfm.values.register"))
    said = guide.tried(
        """
        from shapes.fed.api import shapes
        with Pipeline() as pipeline:
            Yield(value=shapes.Draw(site="north"))
        (polygon,) = session.run(pipeline)["yield"]
        print(type(polygon).__name__, polygon.corners)
        """
    )
    assert said == "Polygon [1, 2, 3]\n"


def test_a_site_has_the_last_word(command: Path, tmp_path: Path) -> None:
    library = "class Rows:\n    async def body(self, many: int) -> list[int]:\n        return list(range(many))\n"
    config = """\
operations:
  stats.Rows: {parameters: {many: {type: integer}}, required: [many], returns: array}
sites:
  app: {}
  north: {interface: {"#/operations/stats.Rows": {adapter: clinic.lib.Rows, args: from-operation}}}
"""
    guide = Guide(tmp_path, command, "clinic", config, library)
    guide.write("clinic/release.py", shown("governance.md", "class Checked"))
    guide.write("policy.yaml", "default: allow\nleaves: {release: {class: clinic.release.Checked, args: {most: 3}}}\n")
    said = guide.program(
        """
from clinic.fed.api import stats
from dfm.api import Pipeline, PlaceParam, Yield
from dfm.errors import JobError
from dfm.testing import Federation
with Pipeline() as pipeline:
    Yield(value=stats.Rows(site="north", many=PlaceParam("many")))
with Federation("clinic", homesite="app", policies={"north": "policy.yaml"}) as federation:
    print(federation.session.run(pipeline, many=3))
    try:
        federation.session.run(pipeline, many=4)
    except JobError as error:
        print("more than 3 items" in str(error))
"""
    )
    assert said == "{'yield': [[0, 1, 2]]}\nTrue\n"


POLICIES = [
    pytest.param(shown("policy.md", "seconds-per-call"), id="policy.md"),
    pytest.param(shown("governance.md", "never-rare"), id="governance.md"),
    pytest.param(
        "default: deny\nrules:\n" + shown("governance.md", "office-hours", within=2), id="governance.md, when"
    ),
    pytest.param(
        "default: deny\nrules:\n" + shown("governance.md", "rare-diagnoses", within=2), id="governance.md, ask"
    ),
]


@pytest.mark.parametrize("policy", POLICIES)
def test_a_policy_is_one(command: Path, tmp_path: Path, policy: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(policy)
    done = subprocess.run([command, "site", "policy", "check", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_first_test_of_a_federation(command: Path, tmp_path: Path) -> None:
    guide = Guide(
        tmp_path,
        command,
        "shop",
        """\
operations:
  hello.Greet: {parameters: {name: {type: string}}, required: [name], returns: string}
sites:
  app: {}
  office: {interface: {"#/operations/hello.Greet": {adapter: shop.lib.Greet, args: from-operation}}}
""",
        "class Greet:\n    async def body(self, name: str) -> str:\n"
        '        return f"Hello {name}, this is the office."\n',
    )
    pipeline = """\
from dfm.api import Pipeline, PlaceParam, Yield
from shop.fed.api import hello


def get_pipeline() -> Pipeline:
    with Pipeline() as pipeline:
        Yield(value=hello.Greet(site="office", name=PlaceParam("who")), place="greeting")
    return pipeline


"""
    guide.write("conftest.py", shown("testing.md", "# conftest.py"))
    guide.write("test_shop.py", pipeline + shown("testing.md", "def test_one_adapter"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=guide.environment({"PYTHONPATH": str(tmp_path)}),
        capture_output=True,
        text=True,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
