"""The page in a real browser: it asks for nothing, has no error, and its filter and sort work."""

import html
import json
import re
import shutil
import subprocess
import tempfile

import numpy as np
import pandas as pd
import pytest

from microplex.metrics.evaluation import Evaluation
from microplex.report import write_report

pytest.importorskip("matplotlib")

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--virtual-time-budget=5000",
)
WATCH = """<script>
window.problems = [];
window.onerror = (message) => problems.push(String(message));
console.error = console.warn = (...words) => problems.push(words.join(" "));
document.addEventListener("securitypolicyviolation", (event) => problems.push("refused " + event.blockedURI));
</script>"""
USE = """<script>
const found = {}, rows = () => Array.from(document.querySelectorAll("#measures tbody tr"));
const seen = () => rows().filter((row) => row.offsetParent !== null);
const type = (id, value) => {
  const input = document.getElementById(id);
  input.value = value;
  input.dispatchEvent(new Event("input", {bubbles: true}));
};
const column = (i) => seen().map((row) => row.cells[i].textContent);
const head = (i) => document.querySelectorAll("#measures thead th")[i];
found.all = rows().length;
found.first = seen().length;
found.start = document.getElementById("shown").textContent;
found.hidden = rows().filter((row) => row.hidden).length;
found.later = document.querySelectorAll("tr.later").length;
const isPrint = (rule) => rule.media && rule.media.mediaText === "print";
const paper = Array.from(document.styleSheets[0].cssRules).find(isPrint);
found.paper = Array.from(paper.cssRules).find((rule) => rule.selectorText === "tr.later").style.display;
dispatchEvent(new Event("beforeprint"));
found.explained = document.querySelector("details").open;
found.hostile = rows()[0].textContent;
document.getElementById("more").focus();
document.activeElement.click();
found.more = seen().length;
type("filter", "KS gains");
found.filtered = seen().map((row) => row.textContent);
found.said = document.getElementById("shown").textContent;
type("filter", "");
type("group", "privacy");
found.groups = column(3);
type("group", "");
type("word", "not defined");
found.words = column(0);
type("word", "");
head(4).querySelector("button").focus();
found.focus = document.activeElement.tagName;
document.activeElement.click();
found.up = seen().map((row) => row.cells[4].dataset.key);
found.sorted = [head(4).getAttribute("aria-sort"), head(1).getAttribute("aria-sort")];
document.activeElement.click();
found.down = seen().map((row) => row.cells[4].dataset.key);
found.sortedDown = head(4).getAttribute("aria-sort");
head(1).querySelector("button").click();
found.names = column(1);
type("filter", "no such measure");
found.none = seen().length;
found.injected = document.querySelectorAll("main b, main script").length;
found.ids = Array.from(document.querySelectorAll("[id]")).map((e) => e.id);
found.nameless = Array.from(document.querySelectorAll("svg")).filter((e) => !e.getAttribute("aria-label")).length;
found.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
addEventListener("load", () => setTimeout(() => {
  found.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  found.problems = problems;
  document.title = "found" + JSON.stringify(found);
}, 500));
</script>"""


def opened(file, *options):
    """Return a page as it stands after its scripts, and what the browser logged."""
    program = next((found for name in NAMES if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(NAMES)} is installed")
    with tempfile.TemporaryDirectory() as folder:
        command = [program, *OPTIONS, f"--user-data-dir={folder}", *options, "--dump-dom", file.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def used(file, *options):
    """Use the page and return what was found."""
    page = file.read_text(encoding="utf-8")
    copy = file.with_name("copy.html")
    copy.write_text(page.replace("<head>", "<head>" + WATCH, 1).replace("</body>", USE + "</body>"), encoding="utf-8")
    dom, log = opened(copy, *options)
    title = re.search(r"<title>found(.*?)</title>", dom, re.DOTALL)
    assert title, log
    return json.loads(html.unescape(title[1])), log


def test_filter_and_sort_work_by_keyboard_without_error_or_request(written, evaluation):
    found, log = used(written())
    assert found["problems"] == []
    assert found["requests"] == []
    assert "CONSOLE" not in log
    assert found["all"] == len(evaluation.records) == found["more"] > found["first"] == 40
    assert found["filtered"]
    assert all("ks" in line and "gains" in line for line in map(str.lower, found["filtered"]))
    assert found["said"] == f"{len(found['filtered'])} of {found['all']} measures match."
    assert found["start"] == f"{found['all']} measures, the first 40 shown."
    # On paper there is no button: all rows are printed, and what the measures are.
    assert (found["hidden"], found["later"]) == (0, found["all"] - 40)
    assert found["paper"] == "table-row"
    assert found["explained"]
    assert found["groups"] == ["privacy"] * len(evaluation.select("privacy"))
    assert len(found["words"]) == evaluation.verdicts.count("not defined") > 0
    assert all("not defined" in word for word in found["words"])
    assert found["focus"] == "BUTTON"
    for keys, down in ((found["up"], False), (found["down"], True)):
        known = [float(key) for key in keys if key]
        assert len(known) > 100
        assert known == sorted(known, reverse=down)
        assert keys[len(known) :] == [""] * (len(keys) - len(known))  # what is not defined stays last
    assert found["sorted"] == ["ascending", None]
    assert found["sortedDown"] == "descending"
    assert found["names"] == sorted(found["names"])
    assert found["none"] == 0
    assert found["injected"] == 0
    assert found["nameless"] == 0
    assert len(found["ids"]) == len(set(found["ids"]))


@pytest.mark.parametrize("width", [500, 1280])
def test_nothing_is_wider_than_the_window(written, width):
    found, _ = used(written(), f"--window-size={width},900")
    assert found["wide"] <= 0


PHONE = """<!DOCTYPE html><title></title>
<iframe id="phone" style="width: 390px; height: 800px" srcdoc="PAGE"></iframe><script>
addEventListener("load", () => setTimeout(() => {
  const page = document.getElementById("phone").contentDocument;
  const beyond = (part) => part.scrollWidth - part.clientWidth;
  const parts = [page.documentElement, ...page.querySelectorAll(".card, figure, figcaption, .beside .wide")];
  document.title = "found" + JSON.stringify({parts: parts.length, beyond: Math.max(...parts.map(beyond))});
}, 500));
</script>"""


def test_nothing_is_cut_off_on_a_phone(tmp_path):
    """At 390 pixels, narrower than a headless window can be, and so in a frame."""
    rng = np.random.default_rng(0)

    def table():
        days = pd.Timestamp("1968-05-01") + pd.to_timedelta(rng.integers(0, 5_000, 200), "D")
        pay = rng.lognormal(10, 1, 200)
        return pd.DataFrame(
            {"a_long_name_of_a_date": days, "wages_and_salaries": pay, "interest_and_dividends": pay**0.5}
        )

    bare = Evaluation((), (), ("a_long_name_of_a_date", "wages_and_salaries", "interest_and_dividends"), {}, ())
    write_report(tmp_path / "report.html", table(), table(), evaluation=bare)
    page = (tmp_path / "report.html").read_text("utf-8")
    (tmp_path / "phone.html").write_text(PHONE.replace("PAGE", html.escape(page)), encoding="utf-8")
    after, _ = opened(tmp_path / "phone.html")
    found = json.loads(html.unescape(re.search(r"<title>found(.*?)</title>", after)[1]))
    assert found["parts"] > 8
    assert found["beyond"] <= 0


def test_a_page_with_an_error_is_caught(written):
    """The watch itself works: an error and a request are both seen."""
    file = written()
    page = file.read_text(encoding="utf-8")
    broken = page.replace("</main>", '<img src="other.png" alt=""></main><script>missing();</script>')
    file.write_text(broken, encoding="utf-8")
    found, _ = used(file)
    assert any("missing" in problem for problem in found["problems"])
    assert any("refused" in problem for problem in found["problems"])
