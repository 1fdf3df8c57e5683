"""Against a real Label Studio: everything that a user does with it, and what goes wrong."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from labelstudio import PASSWORD, Person, Server

from salprobe.annotate.labelstudio.push import tasks_by_image
from salprobe.datasets.masks.mask_set import MaskSet
from salprobe.datasets.sources.load import mask_path

pytestmark = pytest.mark.slow
ANNOTATE = Path(sys.executable).with_name("annotate")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory):
    made = Server(tmp_path_factory.mktemp("label-studio"))
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def surroundings(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    monkeypatch.delenv("LABEL_STUDIO_URL", raising=False)


@pytest.fixture
def world(small_world: Path, tmp_path: Path) -> Path:
    """Images in a folder of their own, and masks.json beside them."""
    shutil.copytree(small_world, tmp_path / "world")
    return tmp_path / "world"


def state(server: Server, title: str) -> list:
    """Return all that a push decides about a project."""
    client = server.client()
    project = client.find(title)
    assert project is not None
    return [
        (
            task["data"],
            [(one["model_version"], one["result"]) for one in task["predictions"]],
        )
        for task in sorted(client.tasks(project), key=lambda task: task["data"]["image_id"])
    ]


def tasks_of(server: Server, title: str) -> dict[int, dict]:
    client = server.client()
    project = client.find(title)
    assert project is not None
    found = tasks_by_image(client.tasks(project))
    assert all(len(copies) == 1 for copies in found.values())
    return {number: copies[0] for number, copies in found.items()}


def relabelled(task: dict, category: str, index: int = 0) -> list[dict]:
    result = json.loads(json.dumps(task["predictions"][0]["result"]))
    result[index]["value"]["polygonlabels"] = [category]
    return result


def changes(command, title: str, output: Path, *options: object, check: int = 0) -> dict:
    done = command(
        *("annotate", "pull", "--project", title, "-o", output, "--serve", "--json", *options),
        check=check,
    )
    return json.loads(done.stdout)


def test_all_of_osie_there_and_back(server, command, osie_root, tmp_path) -> None:
    done = command("annotate", "push", "osie-sr", "--project", "OSIE", "--serve", "--dry-run")
    assert "700 images to be added" in done.stderr
    start = time.monotonic()
    done = command("annotate", "push", "osie-sr", "--project", "OSIE", "--serve")
    assert "700 images added" in done.stderr
    again = command("annotate", "push", "osie-sr", "--project", "OSIE", "--serve")
    assert "0 images added, 0 updated, 0 duplicates removed" in again.stderr
    tasks = tasks_of(server, "OSIE")
    assert sum(len(task["predictions"][0]["result"]) for task in tasks.values()) == 3162
    ann = Person(server)
    ann.submit(tasks[1001]["id"], relabelled(tasks[1001], "symbol"))
    reshaped = relabelled(tasks[1002], "other")
    reshaped[0]["value"]["polygonlabels"] = tasks[1002]["predictions"][0]["result"][0]["value"][
        "polygonlabels"
    ]
    reshaped[0]["value"]["points"][0][0] += 1
    ann.submit(tasks[1002]["id"], reshaped)
    ann.submit(tasks[1003]["id"], tasks[1003]["predictions"][0]["result"][1:])
    output = tmp_path / "sr.json"
    dry = changes(command, "OSIE", output, "--masks", "osie-sr", "--dry-run")
    assert not output.exists()
    found = changes(command, "OSIE", output, "--masks", "osie-sr")
    assert found == dry
    assert found["changes"] == {
        "1001.jpg": {"relabelled": 1},
        "1002.jpg": {"reshaped": 1},
        "1003.jpg": {"removed": 1},
    }
    elapsed = time.monotonic() - start
    print(f"all of OSIE pushed twice and pulled twice: {elapsed:.1f} s")
    shipped = mask_path("osie-sr")
    before = {one.id: one for one in MaskSet.read(shipped).annotations}
    after = {one.id: one for one in MaskSet.read(output).annotations}
    on_them = {one.id for one in before.values() if one.image_id in (1001, 1002, 1003)}
    assert before.keys() - after.keys() <= on_them and after.keys() <= before.keys()
    assert all(after[k] == before[k] for k in after.keys() - on_them)
    for k in after.keys() & on_them:
        assert after[k].annotator == ann.email
        assert after[k].label_source == "label-studio"
    # the pulled file is pushed: the annotations stay, the predictions follow
    command("annotate", "push", output, "--project", "OSIE", "--serve")
    tasks = tasks_of(server, "OSIE")
    assert len(tasks[1003]["annotations"]) == 1
    assert changes(command, "OSIE", output)["changes"] == {}


def test_a_polygon_drawn_in_the_web_page(server, command, osie_root, tmp_path) -> None:
    playwright = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium")
    masks = MaskSet.read(mask_path("osie-sr-second"))
    first = masks.images[0]
    part = masks.subset({first.id}, {one.id for one in masks.annotations})
    part.write(tmp_path / "one.json")
    command("annotate", "push", tmp_path / "one.json", "--project", "By hand", "--serve")
    client = server.client()
    project = client.find("By hand")
    task = tasks_of(server, "By hand")[first.id]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page(viewport={"width": 1600, "height": 1200})
        page.goto(f"{server.url}/user/login/")
        page.fill("input[name=email]", Person(server).email)
        page.fill("input[name=password]", PASSWORD)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(lambda url: "login" not in url)
        page.goto(f"{server.url}/projects/{project.id}/data?task={task['id']}")
        page.wait_for_selector("canvas")
        page.wait_for_timeout(2000)
        page.screenshot(path=str(tmp_path / "before.png"))
        page.keyboard.press("6")  # text
        box = page.locator("canvas").first.bounding_box()
        assert box is not None
        corners = [(0.03, 0.05), (0.13, 0.05), (0.13, 0.2), (0.03, 0.2)]
        for x, y in [*corners, corners[0]]:
            page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])
            page.wait_for_timeout(300)
        page.screenshot(path=str(tmp_path / "after.png"))
        page.get_by_text("Submit", exact=True).click()
        page.wait_for_timeout(2000)
        browser.close()
    found = changes(command, "By hand", tmp_path / "one.json")
    assert found["changes"] == {first.file_name: {"added": 1}}
    added = MaskSet.read(tmp_path / "one.json")
    names = added.category_of()
    new = max(added.annotations, key=lambda one: one.id)
    assert names[new.category_id] == "text"
    assert 0 < new.area < 0.1 * first.width * first.height
    known = {one.id: one for one in part.annotations}
    assert all(
        one.segmentation == known[one.id].segmentation
        for one in added.annotations
        if one.id in known
    )


def test_annotators_drafts_and_edits_on_both_sides(server, command, world) -> None:
    masks = world / "masks.json"
    command("annotate", "push", masks, "--project", "People", "--serve")
    tasks = tasks_of(server, "People")
    ann, bob = Person(server), Person(server, "bob@example.com")
    number = ann.submit(tasks[1]["id"], relabelled(tasks[1], "object"))
    bob.submit(tasks[1]["id"], relabelled(tasks[1], "text"))
    ann.submit(tasks[2]["id"], relabelled(tasks[2], "object"))
    bob.submit(tasks[2]["id"], relabelled(tasks[2], "object"))
    bob.draft(tasks[3]["id"], relabelled(tasks[3], "object"))
    skipped = bob.submit(tasks[4]["id"], relabelled(tasks[4], "object"), was_cancelled=True)
    assert skipped
    output = world / "pulled.json"
    found = changes(command, "People", output, "--masks", masks, check=1)
    assert [one["file_name"] for one in found["conflicts"]] == ["1.png"]
    assert found["changes"] == {"2.png": {"relabelled": 1}}
    assert found["images"] == {"taken": 1, "with drafts, not submitted": 1}
    assert MaskSet.read(output).fixations is not None
    mine = world / "ann.json"
    found = changes(command, "People", mine, "--masks", masks, "--annotator", ann.email)
    assert found["changes"] == {"1.png": {"relabelled": 1}, "2.png": {"relabelled": 1}}
    # an edit on both sides
    content = json.loads(mine.read_text())
    content["annotations"][0]["category_id"] = 6
    mine.write_text(json.dumps(content))
    before = mine.read_bytes()
    ann.edit(number, relabelled(tasks[1], "animal head"))
    found = changes(command, "People", mine, "--annotator", ann.email, "--dry-run", check=1)
    assert found["conflicts"][0]["reason"] == "changed here and on the server"
    assert mine.read_bytes() == before
    options = ("--annotator", ann.email, "--prefer", "remote")
    found = changes(command, "People", mine, *options)
    assert found["changes"] == {"1.png": {"relabelled": 1}}
    ann.delete(number)
    found = changes(command, "People", mine, "--annotator", ann.email)
    assert found["changes"] == {} and found["images"]["no longer annotated"] == 1


def test_a_deleted_task_comes_back_and_a_renamed_category_is_said(server, command, world) -> None:
    masks = world / "masks.json"
    command("annotate", "push", masks, "--project", "Deleted", "--serve")
    client, tasks = server.client(), tasks_of(server, "Deleted")
    project = client.find("Deleted")
    assert project is not None
    client.delete_tasks(project, [tasks[1]["id"], tasks[2]["id"]])
    output = world / "pulled.json"
    assert changes(command, "Deleted", output, "--masks", masks)["images"] == {"without task": 2}
    done = command("annotate", "push", masks, "--project", "Deleted", "--serve")
    assert "2 images added, 0 updated" in done.stderr
    ann = Person(server)
    config = project.config.replace('value="person head"', 'value="Face"')
    ann.configure(project.id, config)
    tasks = tasks_of(server, "Deleted")
    ann.submit(tasks[1]["id"], relabelled(tasks[1], "Face"))
    before = output.read_bytes()
    pulling = ("annotate", "pull", "--project", "Deleted", "-o", output, "--serve")
    done = command(*pulling, check=2)
    assert "category 'Face' is not in the mask file" in done.stderr
    assert output.read_bytes() == before
    command(*pulling, "--rename", "Face=person head")
    done = command("annotate", "push", masks, "--project", "Deleted", "--serve", check=2)
    assert "labels lack person head and have Face: were they renamed there?" in done.stderr


def test_tokens_titles_and_a_server_of_ones_own(server, command, world, monkeypatch) -> None:
    masks = world / "masks.json"
    ann = Person(server)
    ann._send("POST", "/api/projects/", {"title": "Somebody's", "label_config": "<View/>"})
    done = command("annotate", "push", masks, "--project", "Somebody's", "--serve", check=2)
    assert "was not created by `annotate push`; choose another title" in done.stderr
    done = command("annotate", "push", masks, "--project", "ab", "--serve", check=2)
    assert "requires 3 to 50 characters" in done.stderr
    done = command("annotate", "pull", "--project", "None", "-o", "x.json", "--serve", check=2)
    assert "no project titled 'None'" in done.stderr
    pushing = ("annotate", "push", masks, "--project", "Own", "--url", server.url)
    done = command(*pushing, check=2, stdin=subprocess.DEVNULL)
    assert "LABEL_STUDIO_API_KEY is not set" in done.stderr
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", "0123456789abcdef" * 2)
    done = command(*pushing, check=2)
    assert "the token is not accepted" in done.stderr
    assert "0123456789abcdef" not in done.stderr
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.local.token())
    # the folder is not below the root that this server serves
    done = command(*pushing, check=2)
    assert (
        "cannot be served; is it below" in done.stderr
        and "LOCAL_FILES_DOCUMENT_ROOT" in done.stderr
    )
    served = server.local.data / "images" / "own"
    shutil.copytree(world, served)
    done = command(*pushing, "--root", served)
    assert "6 images added" in done.stderr
    # a personal access token does as well
    token = ann._send("POST", "/api/token/", {})["token"]
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", token)
    done = command(*pushing, "--root", served)
    assert "0 images added, 0 updated" in done.stderr and token not in done.stderr
    monkeypatch.setenv("LABEL_STUDIO_URL", "http://127.0.0.1:9")
    done = command("annotate", "push", masks, "--project", "Own", "--root", served, check=2)
    assert "http://127.0.0.1:9: no answer (ConnectError)" in done.stderr


def test_only_the_images_are_shown_and_a_renamed_project_is_found(server, command, world) -> None:
    masks, pulled = world / "masks.json", world / "pulled.json"
    (world / "secret.txt").write_text("secret")
    command("annotate", "push", masks, "--project", "Before", "--serve")
    ann, client = Person(server), server.client()
    task = tasks_of(server, "Before")[1]
    address = task["data"]["image"]
    assert client.shows(address)
    for name in ("secret.txt", "masks.json"):
        assert not client.shows(address.replace("1.png", name))
    ann.submit(task["id"], relabelled(task, "text"))
    changes(command, "Before", pulled, "--masks", masks)
    project = client.find("Before")
    assert project is not None
    ann._send("PATCH", f"/api/projects/{project.id}/", {"title": "After"})
    command("annotate", "push", pulled, "--project", "Before", "--serve")
    assert client.find("Before") is None  # no twin
    assert changes(command, "Before", pulled)["conflicts"] == []


def test_two_projects_of_one_title(server, command, world) -> None:
    masks = world / "masks.json"
    client = server.client()
    first = client.create("Twice", MaskSet.read(masks))
    client.create("Twice", MaskSet.read(masks))
    done = command("annotate", "push", masks, "--project", "Twice", "--serve", check=2)
    assert "are all titled 'Twice'; rename all but one" in done.stderr
    Person(server)._send("DELETE", f"/api/projects/{first.id}/", {})
    command("annotate", "push", masks, "--project", "Twice", "--serve")
    pulled = world / "pulled.json"
    changes(command, "Twice", pulled, "--masks", masks)
    there = client.find("Twice")
    assert there is not None
    Person(server)._send("DELETE", f"/api/projects/{there.id}/", {})
    client.create("Twice", MaskSet.read(masks))
    done = command("annotate", "pull", "--project", "Twice", "-o", pulled, "--serve", check=2)
    assert "is not the one that the mask file was pulled from" in done.stderr


@pytest.fixture(scope="module")
def many(osie_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 images with their regions."""
    masks = MaskSet.read(mask_path("osie-sr"))
    chosen = {image.id for image in masks.images[:300]}
    path = tmp_path_factory.mktemp("many") / "many.json"
    masks.subset(chosen, {one.id for one in masks.annotations}).write(path)
    return path


@pytest.fixture(scope="module")
def undisturbed(server: Server, many: Path) -> tuple[list, float]:
    import os

    environment = {**os.environ, **server.environment}
    start = time.monotonic()
    arguments = [str(ANNOTATE), "push", str(many), "--project", "Undisturbed", "--serve"]
    subprocess.run(arguments, check=True, env=environment, capture_output=True)
    return state(server, "Undisturbed"), time.monotonic() - start


@pytest.mark.parametrize("seed", range(10))
def test_the_client_is_killed_in_a_push(server, command, many, undisturbed, seed) -> None:
    expected, duration = undisturbed
    title = f"Killed client {seed}"
    pushing = ["push", str(many), "--project", title, "--serve"]
    process = subprocess.Popen([str(ANNOTATE), *pushing], stderr=subprocess.DEVNULL)
    time.sleep(random.Random(seed).uniform(0.3, 1.0) * duration)
    process.send_signal(signal.SIGKILL)
    process.wait()
    command("annotate", *pushing)
    assert state(server, title) == expected


@pytest.mark.parametrize("seed", range(10))
def test_the_server_is_killed_in_a_push(
    server, command, many, undisturbed, seed, osie_root, monkeypatch
) -> None:
    expected, duration = undisturbed
    title = f"Killed server {seed}"
    # Not --serve, which would start another server if this one is killed very early.
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.local.token())
    pushing = ["push", str(many), "--project", title, "--url", server.url]
    pushing += ["--root", str(server.local.share(osie_root, osie_root.glob("stimuli/*.jpg")))]
    pushing += ["--document-root", str(server.local.data / "images")]
    process = subprocess.Popen([str(ANNOTATE), *pushing], stderr=subprocess.PIPE, text=True)
    time.sleep(random.Random(100 + seed).uniform(0.3, 1.0) * duration)
    server.kill()
    if seed % 2:  # it is back before the client gives up, or after
        server.start()
    with process:
        _, message = process.communicate(timeout=120)
    assert process.returncode in (0, 2), message
    assert "Traceback" not in message
    if not seed % 2:
        server.start()
    command("annotate", *pushing)
    assert state(server, title) == expected


@pytest.mark.parametrize("seed", range(10))
def test_the_client_is_killed_in_a_pull(server, command, many, undisturbed, tmp_path, seed) -> None:
    output = tmp_path / "pulled.json"
    pulling = ["pull", "--project", "Undisturbed", "--masks", str(many)]
    pulling += ["-o", str(output), "--serve"]
    start = time.monotonic()
    command("annotate", *pulling)
    duration = time.monotonic() - start
    expected = output.read_bytes()
    output.unlink()
    process = subprocess.Popen([str(ANNOTATE), *pulling], stderr=subprocess.DEVNULL)
    time.sleep(random.Random(200 + seed).uniform(0.3, 1.1) * duration)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists() or output.read_bytes() == expected
    command("annotate", *pulling)
    assert output.read_bytes() == expected


def test_a_user_without_a_server(command, world, tmp_path, monkeypatch, server) -> None:
    """`annotate push --serve` starts one, and Ctrl-C stops it; `annotate serve` does the same."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.delenv("LABEL_STUDIO_PASSWORD", raising=False)
    done = command("annotate", "serve", "--port", 0, check=2, stdin=subprocess.DEVNULL)
    assert "LABEL_STUDIO_PASSWORD is not set" in done.stderr
    monkeypatch.setenv("LABEL_STUDIO_PASSWORD", PASSWORD)
    done = command("annotate", "serve", "--port", server.port, check=2)
    assert f"port {server.port} is taken; --port names another" in done.stderr
    pushing = [str(ANNOTATE), "push", str(world / "masks.json"), "--project", "First", "--serve"]
    with subprocess.Popen([*pushing, "--port", "0"], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        said = ""
        while "Ctrl-C stops" not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        assert "log in as" in said and "6 images added" in said and PASSWORD not in said
        address = json.loads((tmp_path / "data/salprobe/label-studio/address.json").read_text())[
            "url"
        ]
        assert address in said
        found = changes(command, "First", tmp_path / "x.json", "--masks", world / "masks.json")
        assert found["changes"] == {}
        done = command("annotate", "serve", "--port", 0)
        assert f"is already running: {address}" in done.stderr
        process.send_signal(signal.SIGINT)
        process.wait(30)
        assert process.returncode == 0
    # and it is started again for a moment, without asking for the password
    monkeypatch.delenv("LABEL_STUDIO_PASSWORD")
    found = changes(command, "First", tmp_path / "x.json", "--port", 0)
    assert found["changes"] == {}
