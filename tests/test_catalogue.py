"""The catalogue of published data sets."""

import json

import pytest
from typer.testing import CliRunner

from salprobe.annotate.cli.main import app
from salprobe.datasets.catalogue.cards import Card, card_of, cards, parse_card
from salprobe.datasets.errors import InputError
from salprobe.datasets.published.read import READERS
from salprobe.datasets.sources.load import NAMED, PUBLISHED
from salprobe.datasets.sources.salicon import NAME as SALICON

CARD = 'name = "toy"\ntitle = "Toy"\ncitation = "c"\ntask = "t"\nimages = 3\n'


def test_what_is_read_is_what_can_be_loaded() -> None:
    read = {card.name: card.reads for card in cards().values() if card.reads != "no"}
    assert read == {"osie": "seen", **dict.fromkeys((SALICON, *READERS), "built")}
    assert set(read) == set(NAMED)
    assert next(iter(cards())) == "osie"
    assert len(cards()) == 14


def test_a_card_agrees_with_the_description_that_is_fetched() -> None:
    for name, description in PUBLISHED.items():
        card = card_of(name)
        assert card.licence == description.licence
        assert card.citation == description.citation
        assert card.px_per_degree == pytest.approx(description.px_per_degree, abs=0.005)
        height, width = description.size_px
        assert card.size == f"{width}×{height}"


def test_hashes_are_of_different_files() -> None:
    hashes = {one.md5: one.name for card in cards().values() for one in card.files}
    names = {(one.name, one.url) for card in cards().values() for one in card.files}
    assert len(hashes) == len(names) == 28  # COCO-FreeView has the images of COCO-Search18


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (CARD + "pictures = 3", "toy.toml: pictures: Extra inputs"),
        (CARD.replace("3", "-3"), "toy.toml: images: Input should be greater than 0"),
        (CARD.replace('"toy"', '"other"'), "toy.toml: holds 'other'"),
        (CARD + '[[files]]\nname = "a"\nmd5 = "12"', "toy.toml: files.0.md5: String should match"),
        (CARD + '[[files]]\nname = "a"\nurl = "x"', "toy.toml: files.0.url"),
        (CARD + "=", "toy.toml: not TOML"),
    ],
)
def test_a_malformed_card(text: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_card("toy.toml", text)
    assert str(caught.value).startswith(message)


def test_what_is_unknown_or_unverified_is_said() -> None:
    card = Card(name="a", title="A", citation="c", task="t", images=3, unverified=("images",))
    assert [card.text(one) for one in ("images", "subjects", "licence")] == ["~3", "–", "–"]


def test_the_command() -> None:
    listed = CliRunner().invoke(app, ["datasets"])
    assert listed.exit_code == 0
    for name in cards():
        assert name in listed.stdout
    one = CliRunner().invoke(app, ["datasets", "cat2000"]).stdout
    assert "pixels per degree: ~38" in one
    assert "note: Positions are 1-based, and many points are repeated; rows of NaN" in one
    assert (
        "file: trainSet.zip, MD5 56ad5c77e6c8f72ed9ef2901628d6e48, http://saliency.mit.edu" in one
    )
    assert "read: yes, not yet seen with the real files" in (
        CliRunner().invoke(app, ["datasets", "koehler"]).stdout
    )
    found = json.loads(CliRunner().invoke(app, ["datasets", "osie", "--json"]).stdout)
    assert (found[0]["name"], found[0]["images"]) == ("osie", 700)
    missing = CliRunner().invoke(app, ["datasets", "osi"])
    assert isinstance(missing.exception, InputError)
    assert "no data set 'osi' in the catalogue: osie, cat2000" in str(missing.exception)
