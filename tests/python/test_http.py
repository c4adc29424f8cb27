"""Do the operations of an OpenAPI description call the interface that it describes, as the site's provider says?"""
# pyright: basic, reportMissingImports=false

import asyncio
import email
import email.policy
import json
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from dfm.api import Pipeline, PlaceParam, Yield
from dfm.http import Call, HttpError
from dfm.testing import Federation

pytestmark = pytest.mark.timeout(60)

DESCRIPTION = """\
openapi: 3.1.0
info: {title: A pet shop, version: "1"}
servers: [{url: /v1}]
security: [{token: []}]
paths:
  /pets:
    get:
      operationId: listPets
      summary: All pets
      parameters:
        - {name: limit, in: query, description: How many a page, schema: {type: integer, minimum: 1}}
        - {name: kind, in: query, schema: {type: array, items: {type: string}}}
        - {name: range, in: query, style: deepObject, schema: {type: object}}
        - {name: near, in: query, explode: false, schema: {type: array, items: {type: number}}}
        - {name: X-Trace, in: header, schema: {type: string}}
      responses: {"200": {headers: {Link: {schema: {type: string}}}}}
    post:
      operationId: create-pet
      requestBody:
        required: true
        content: {application/json: {schema: {$ref: "#/components/schemas/NewPet"}}}
  /pets/{petId}:
    parameters: [{name: petId, in: path, required: true, schema: {type: string}}]
    get: {operationId: class}
    delete: {operationId: deletePet}
  /form:
    post:
      operationId: fill
      requestBody: {content: {application/x-www-form-urlencoded: {schema: {type: object}}}}
  /picture: {get: {operationId: picture}}
  /files:
    post:
      operationId: sendFiles
      requestBody:
        content:
          multipart/form-data:
            schema: {type: object, properties: {one: {type: string, format: binary}, note: {type: string}}}
  /notes:
    post:
      operationId: sendNotes
      requestBody: {content: {multipart/form-data: {schema: {$ref: "#/components/schemas/NewPet"}}}}
components:
  securitySchemes: {token: {type: http, scheme: bearer}}
  schemas:
    NewPet:
      type: object
      required: [name]
      properties:
        name: {type: string}
        tag: {type: [string, "null"]}
        mother: {$ref: "#/components/schemas/NewPet"}
"""

CONFIG = """\
dfm: 1.0.0
info: {api-version: 1.0.0, code-package: petted}
sites:
  home: {}
  store:
    info: {description: It calls.}
"""


class Shop(BaseHTTPRequestHandler):
    """What the interface does; `server.seen` has what it was asked."""

    server: "Server"

    def do_GET(self):
        self.answer()

    do_POST = do_DELETE = do_GET

    def answer(self):
        parts = urlsplit(self.path)
        query = parse_qs(parts.query)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        match self.command, parts.path:
            case "GET", "/openapi.yaml":
                self.say(200, DESCRIPTION.encode(), "application/yaml")
            case _ if self.headers.get("Authorization") != "Bearer sesame":
                self.say(401, b"no token", "text/plain")
            case "GET", "/v1/pets":
                page = int(query.get("page", ["1"])[0])
                link = self.server.next_page.replace("PAGE", str(page + 1)) if page < 3 else ""
                self.say(200, json.dumps([page]).encode(), Link=f'<{link}>; rel="next"' if link else "")
            case "POST", "/v1/pets":
                self.say(201, body)
            case "DELETE", "/v1/pets/busy" if len(self.server.seen) < 3:
                self.say(503, b"later", "text/plain", **{"Retry-After": "0"})
            case "DELETE", _:
                self.say(204, b"")
            case "POST", "/v1/form":
                self.say(503, body, "text/plain")
            case "POST", "/v1/files" | "/v1/notes":
                head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
                parts = cast(Any, email.message_from_bytes(head + body, policy=email.policy.HTTP)).iter_parts()
                told = [
                    [
                        part.get_param("name", header="content-disposition"),
                        part.get_filename(),
                        part.get_content_type(),
                        part.get_payload(decode=True).hex(),
                    ]
                    for part in parts
                ]
                self.say(200, json.dumps(told).encode())
            case "GET", "/v1/picture":
                self.say(200, b"\x89PNG", "image/png")
            case "GET", "/v1/pets/big":
                self.say(200, b"x" * 5000, "text/plain")
            case "GET", "/v1/pets/torn":
                self.say(200, b"{")
            case "GET", "/v1/pets/deep":
                self.say(200, b"[" * 3000)
            case "GET", "/v1/pets/away":
                self.say(302, b"", Location="http://127.0.0.1:1/")
            case _:
                self.say(404, b"no such pet", "text/plain")

    def say(self, status: int, body: bytes, kind: str = "application/json", **headers: str):
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format, *args):
        pass


class Server(ThreadingHTTPServer):
    seen: list[tuple[str, str, dict[str, str], bytes]]
    next_page = "?page=PAGE"

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture(scope="module")
def serving():
    server = Server(("127.0.0.1", 0), Shop)
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def shop(serving: Server, command: Path, tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("petted")
    (folder / "f.dfm.yaml").write_text(CONFIG)
    (folder / "federations.yaml").write_text(
        "federations: {petted: {federation_dir: petted, config_path: ../f.dfm.yaml}}"
    )
    (folder / "petted").mkdir()

    def dfm(*words: str) -> str:
        ran = subprocess.run([command, *words], cwd=folder, capture_output=True, text=True)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout + ran.stderr

    words = ("fed", "import", "openapi", f"{serving.address}/openapi.yaml", "--site", "store", "--name", "pets")
    shown = dfm(*words)
    assert "+  pets.ListPets:" in shown and (folder / "f.dfm.yaml").read_text() == CONFIG
    dfm(*words, "--write")
    assert dfm(*words, "--write").startswith("imported 8 operations"), "nothing is left to change"
    config = (folder / "f.dfm.yaml").read_text()
    assert f'address: "{serving.address}/v1"' in config
    settings = (
        "          retries: 1\n          backoff: 0\n          max_bytes: 4000\n          headers: {X-Ours: here}\n"
    )
    (folder / "f.dfm.yaml").write_text(config.replace("          secrets:\n", settings + "          secrets:\n"))
    dfm(*words, "--write")
    assert settings in (folder / "f.dfm.yaml").read_text(), "a provider's settings are the site's"
    assert "nothing is wrong" in dfm("fed", "check", "petted", "--adapters")
    dfm("fed", "gen", "code", "petted", "--output-dir", ".")
    sys.path.insert(0, str(folder))
    with Federation("petted", homesite="home", secrets={"pets": "sesame"}) as federation:
        yield federation


@pytest.fixture
def seen(serving: Server):
    serving.seen.clear()
    return serving.seen


def test_arguments_are_where_the_description_has_them(shop, seen):
    assert shop.call(
        "store",
        "pets.ListPets",
        "pets",
        limit=2,
        kind=["cat", "a&b"],
        range={"from": 1, "to": True},
        near=[1.5, 2],
        X_Trace="t 1",
    ) == [1, 2, 3]
    method, address, headers, _ = seen[0]
    query = "limit=2&kind=cat&kind=a%26b&range%5Bfrom%5D=1&range%5Bto%5D=true&near=1.5%2C2"
    assert (method, address) == ("GET", f"/v1/pets?{query}")
    assert headers["X-Trace"] == "t 1" and headers["X-Ours"] == "here" and headers["Authorization"] == "Bearer sesame"
    assert [address for _, address, *_ in seen[1:]] == ["/v1/pets?page=2", "/v1/pets?page=3"]


def test_a_body_is_what_the_model_was_given(shop, seen):
    from petted.fed.api.pets import CreatePet
    from petted.fed.schema import NewPet

    with Pipeline() as pipeline:
        Yield(value=CreatePet(body=PlaceParam(place="pet")), place="made")
    pet = NewPet(name="Rex", tag=None, mother=NewPet(name="Bella"))
    with Pipeline() as literal:
        Yield(value=CreatePet(body=pet), place="made")
    assert shop.session.run(literal) == {"made": [{"name": "Rex", "tag": None, "mother": {"name": "Bella"}}]}
    assert shop.session.run(pipeline, pet=pet) == {"made": [{"name": "Rex", "tag": None, "mother": {"name": "Bella"}}]}
    with pytest.raises(ValueError), Pipeline():
        CreatePet(body=NewPet.model_validate({"name": 3}))


def test_a_form_has_a_part_for_each_field(shop, seen):
    odd, binary = 'a"; x="b\r\nEvil: yes', b"\r\n--\x00\xff"
    body = {"one": binary, "more": [("n.bin", b"2"), b"3"], "note": "ä", "n": [1, True], "of": {"a": [1]}, odd: "x"}
    told = shop.call("store", "pets.SendFiles", "pets", body=body)
    file, text = "application/octet-stream", "text/plain"
    assert [(name, called, kind, bytes.fromhex(data)) for name, called, kind, data in told] == [
        ("one", "one", file, binary),
        ("more", "n.bin", file, b"2"),
        ("more", "more", file, b"3"),
        ("note", None, text, "ä".encode()),
        ("n", None, text, b"1"),
        ("n", None, text, b"true"),
        ("of", None, "application/json", b'{"a": [1]}'),
        ("a%22; x=%22b%0D%0AEvil: yes", None, text, b"x"),
    ]


def test_a_form_without_files_is_of_its_schema(shop, seen):
    from petted.fed.api.pets import SendNotes
    from petted.fed.schema import NewPet

    with Pipeline() as pipeline:
        Yield(value=SendNotes(body=NewPet(name="Rex")), place="told")
    assert shop.session.run(pipeline) == {"told": [[["name", None, "text/plain", b"Rex".hex()]]]}


def test_what_is_no_part_of_a_path_stays_in_its_place(shop, seen):
    with pytest.raises(HttpError, match="404 Not Found: no such pet") as caught:
        shop.call("store", "pets.Class", "pets", petId="../a?b#c/é")
    assert caught.value.status == 404
    assert seen[0][1] == "/v1/pets/..%2Fa%3Fb%23c%2F%C3%A9"
    for bad in ("..", ".", ""):
        with pytest.raises(ValueError, match="no part of a path"):
            shop.call("store", "pets.Class", "pets", petId=bad)
    with pytest.raises(ValueError, match="no header"):
        shop.call("store", "pets.ListPets", "pets", X_Trace="a\r\nX-Bad: b")
    with pytest.raises(ValueError, match="no header"):
        shop.call("store", "pets.ListPets", "pets", X_Trace="日本")
    assert len(seen) == 1


@pytest.mark.parametrize("secret", ["sésame", "sesame\n", "日本"])
def test_a_secret_that_no_header_has_is_named_and_not_told(shop, seen, secret):
    with (
        Federation("petted", homesite="home", secrets={"pets": secret}) as federation,
        pytest.raises(ValueError, match="the secret `pets` has characters that no header has") as caught,
    ):
        federation.call("store", "pets.ListPets", "pets", X_Trace="t")
    assert secret not in str(caught.value) and not seen


def test_a_request_is_made_again_where_that_does_no_harm(shop, seen):
    seen.append(("", "", {}, b""))
    assert shop.call("store", "pets.DeletePet", "pets", petId="busy") is None
    assert [one[0] for one in seen[1:]] == ["DELETE", "DELETE"]
    seen.clear()
    with pytest.raises(HttpError, match="503 .*: a=1&b=x\\+y"):
        shop.call("store", "pets.Fill", "pets", body={"a": 1, "b": "x y"})
    assert len(seen) == 1, "a POST may have done its work"


def test_answers_are_bounded_and_lead_nowhere_else(shop, seen, serving, monkeypatch):
    assert shop.call("store", "pets.Picture", "pets") == b"\x89PNG"
    with pytest.raises(HttpError, match="larger than the provider's `max_bytes`"):
        shop.call("store", "pets.Class", "pets", petId="big")
    for wrong in ("torn", "deep"):
        with pytest.raises(HttpError, match="says that it answers with JSON, and does not: "):
            shop.call("store", "pets.Class", "pets", petId=wrong)
    with pytest.raises(HttpError, match="302"):
        shop.call("store", "pets.Class", "pets", petId="away")
    monkeypatch.setattr(serving, "next_page", "http://localhost:1/v1/pets?page=PAGE")
    with pytest.raises(HttpError, match="another address"):
        shop.call("store", "pets.ListPets", "pets")


def test_what_cannot_be_reached_is_said(shop):
    provider = SimpleNamespace(info={"address": "http://127.0.0.1:1", "retries": 0}, name="pets")
    with pytest.raises(HttpError, match="GET http://127.0.0.1:1/x has no answer"):
        asyncio.run(Call(cast(Any, None), cast(Any, provider), "GET", "/x", {}).body())
    provider.info = {"address": "file:///etc/passwd"}
    with pytest.raises(ValueError, match="the `info` of the provider 'pets' is wrong at `address`"):
        Call(cast(Any, None), cast(Any, provider), "GET", "/x", {})
    with pytest.raises(ValueError, match="bound at a provider"):
        Call(cast(Any, None), None, "GET", "/x", {})
