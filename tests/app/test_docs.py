"""The page that documents the API: all of it is ours, and a browser without a network shows it and asks by it."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from app.swagger import FILES
from store.keys import Scope
from tests.app.browser import browsing
from tests.app.test_stream import served
from tests.app.world import World

# As its makers publish them, in `swagger-ui-dist` 5.34.0.
PUBLISHED = {
    "swagger-ui-bundle.js": "3f6abf70480db7e07914df4c98a77385f22ea585eaf457a3e6415ba0eae2d167",
    "swagger-ui.css": "c3cfe8248c4b0b89673600fb829924eafbac6de4bc4b2b06f5f5243483074d0a",
    "favicon-32x32.png": "3ed612f41e050ca5e7000cad6f1cbe7e7da39f65fca99c02e99e6591056e5837",
}
OPENED = """(() => {
  const block = [...document.querySelectorAll(".opblock-get")].find(
    block => block.querySelector("[data-path='/sample']"));
  if (!block) return false;
  const press = selector => block.querySelector(selector)?.click();
  if (!block.classList.contains("is-open")) press(".opblock-summary-control");
  else if (!block.querySelector(".execute")) press(".try-out__btn");
  else return true;
  return false;
})()"""
TYPED = """(() => {
  const field = document.querySelector(".auth-container input");
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(field, %s);
  field.dispatchEvent(new Event("input", {bubbles: true}));
})()"""
EXECUTED = "document.querySelector('.execute').click()"
STATUS = "document.querySelector('.live-responses-table tbody .response-col_status')?.firstChild?.textContent"
DRAWN = "[...document.querySelectorAll('.live-responses-table img')].map(image => image.naturalWidth)[0]"


def test_the_files_are_those_that_their_makers_publish() -> None:
    served = {path.rsplit("/", 1)[1]: hashlib.sha256(file.content).hexdigest() for path, file in FILES.items()}
    assert {name: served[name] for name in PUBLISHED} == PUBLISHED
    assert set(served) == {*PUBLISHED, "docs"}


def test_the_page_names_nothing_that_is_not_served(guarded: TestClient) -> None:
    page = guarded.get("/docs").text
    named = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert {f"/{address}" for address in named} == {path for path in FILES if path != "/docs"}
    assert not re.search("https?:|//", page)


def test_what_carries_its_version_is_kept_for_good_and_the_page_is_asked_for_again(guarded: TestClient) -> None:
    for path in FILES:
        answer = guarded.get(path)
        kept = answer.headers["Cache-Control"]
        assert ("immutable" in kept, kept == "no-cache") == (path != "/docs", path == "/docs")
        again = guarded.get(path, headers={"If-None-Match": answer.headers["ETag"]})
        assert (again.status_code, again.content, again.headers["Cache-Control"]) == (304, b"", kept)


def test_nothing_else_is_there(client: TestClient, guarded: TestClient) -> None:
    for path in ("/docs/0/swagger-ui.css", "/docs/0/__init__.py", "/docs/oauth2-redirect", "/redoc"):
        assert (client.get(path).status_code, guarded.get(path).status_code) == (404, 401)


@pytest.mark.integration
def test_a_browser_without_a_network_shows_every_operation_and_asks_with_a_key(
    chromium: str, world: World, tmp_path: Path
) -> None:
    world.trained(100)
    world.settings = world.settings.model_copy(update={"auth": True})
    _, secret = world.key(Scope.SAMPLE)
    with served(world) as url, browsing(chromium, tmp_path / "profile") as browser:
        browser.do("Page.navigate", url=f"{url}/docs")
        shown = browser.wait("document.querySelectorAll('.opblock').length")
        described = browser.run("fetch('openapi.json').then(answer => answer.json())")["paths"].values()
        assert shown == sum(len(operations) for operations in described)
        browser.wait(OPENED)
        assert browser.complaints == []

        browser.run(EXECUTED)
        assert browser.wait(STATUS) == "401"
        assert {complaint.partition(f" {url}")[0] for complaint in browser.complaints if url in complaint} == {"401"}

        browser.complaints.clear()
        browser.run("document.querySelector('.btn.authorize').click()")
        browser.wait("document.querySelector('.auth-container input') !== null")
        browser.run(TYPED % json.dumps(secret))
        browser.run("document.querySelector('.auth-container .authorize').click()")
        browser.wait("document.querySelector('.auth-container input') === null")
        browser.run("document.querySelector('.btn-done').click()")
        browser.run(EXECUTED)
        assert browser.wait(DRAWN) == 8
        assert browser.run(STATUS) == "200"
        assert browser.complaints == []
        assert [address for address in browser.asked if not address.startswith((url, "data:", "blob:"))] == []
