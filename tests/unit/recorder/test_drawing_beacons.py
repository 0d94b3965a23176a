"""The recorder asks beacons beside its work: what is new is handed on once, an outage is told once and stops nothing."""

import json
import logging
import time
from pathlib import Path

import msgspec
import pytest
from tests.beacons import Network, Signer, serving
from tests.published import SIGNER

from magistrate.adapters.recorder.attesting import OLD_BEACON_S, Attester, Plan, Standing, read_standings
from magistrate.adapters.recorder.disk import Disk
from magistrate.app import attestation
from magistrate.app.attestation import vouching_metrics
from magistrate.app.config import Rejected, load
from magistrate.app.diagnosis import Level, World, diagnose
from magistrate.evidence.beacon import Drawn, read_source


class Drawing:
    """An attester with one beacon, and what it hands on."""

    def __init__(self, root: Path, url: str, info: dict[str, object], also: tuple[str, ...] = ()) -> None:
        Disk().make_directories(root)
        self.root = root
        self.heard: list[Drawn] = []
        plan = Plan(beacons=((url, read_source(json.dumps(info).encode())),), also={("beacon", url): also})
        self.attester = Attester(root, SIGNER.vkey, plan, heard=self.heard.append)

    @property
    def standing(self) -> Standing:
        told = read_standings(self.root)
        assert told is not None
        return told.parties[0]


@pytest.mark.requirement("A7")
def test_a_new_value_is_handed_on_and_the_same_one_is_not(tmp_path: Path) -> None:
    """Over real HTTP; drand's rounds come every second here, the source of one's own stands still."""
    signer = Signer()
    with serving(signer) as served:
        drawing = Drawing(tmp_path, served.url, signer.info)
        served.says = served.body()
        drawing.attester.draw()
        drawing.attester.draw()
        assert len(drawing.heard) == 1
        assert drawing.heard[0].facts["source"] == "ours"
        assert drawing.standing.at_us == drawing.heard[0].time_us
        served.says = json.dumps(signer.answer(drawing.heard[0].time_us / 1e6 + 1)).encode()
        drawing.attester.draw()
        assert [one.time_us - drawing.heard[0].time_us for one in drawing.heard] == [0, 1_000_000]


@pytest.mark.requirement("A7")
def test_an_outage_is_told_once_and_over_when_it_is_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Silent, refusing, forging, answering with yesterday's: nothing is handed on, and each is told as what it is."""
    network = Network()
    with serving(network) as served:
        drawing = Drawing(tmp_path, served.url, network.info)
        served.down = True
        with caplog.at_level(logging.INFO, "magistrate.recorder"):
            drawing.attester.draw()
            drawing.attester.draw()
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        assert drawing.standing.fails == "answers with status 503"
        served.down = False
        old = network.round(100_000 - int(OLD_BEACON_S) - 60)
        for says, fails in (
            (b"<html>", "no value of a beacon"),
            (
                json.dumps(Network(secret=3).answer(network.genesis_s + 100_000)).encode(),
                "is not `testnet`'s",
            ),
            (json.dumps(old).encode(), "s old"),
            (b"x" * 100_000, "more than"),
        ):
            served.says = says
            drawing.attester.draw()
            assert fails in drawing.standing.fails
        assert drawing.heard == []
        served.says = None
        with caplog.at_level(logging.INFO, "magistrate.recorder"):
            drawing.attester.draw()
        assert caplog.records[-1].message == "beacon `testnet` answers again"
        assert (drawing.standing.fails, len(drawing.heard)) == ("", 1)
    drawing.attester.draw()
    assert drawing.standing.fails, "and nobody is there at all"


@pytest.mark.requirement("A7")
def test_an_address_that_is_down_or_lies_is_no_outage_while_another_does(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They are asked in turn, each time from the first; with all of them down, each is named."""
    network = Network()
    with serving(network) as first, serving(network) as second, serving(network) as third:
        drawing = Drawing(tmp_path, first.url, network.info, (second.url, third.url))
        first.down, second.says = True, b"<html>"
        third.says = json.dumps(network.answer(time.time())).encode()
        with caplog.at_level(logging.INFO, "magistrate.recorder"):
            drawing.attester.draw()
        assert (caplog.records, drawing.standing.fails, len(drawing.heard)) == ([], "", 1)
        third.down = True
        drawing.attester.draw()
        assert drawing.standing.fails.startswith("none of 3 addresses does: ")
        assert all(
            f"`{one.url}`: {why}" in drawing.standing.fails
            for one, why in ((first, "answers with status 503"), (second, "answers with what is no"))
        )
        first.down, second.says = False, None
        first.says = json.dumps(network.answer(time.time() + 5)).encode()
        drawing.attester.draw()
        assert (drawing.standing.fails, len(drawing.heard)) == ("", 2)


@pytest.mark.requirement("A7")
def test_a_beacon_is_shown_by_doctor_and_metrics(tmp_path: Path) -> None:
    network = Network()
    (tmp_path / "source.json").write_text(json.dumps(network.info))
    with serving(network) as served:
        (tmp_path / "magistrate.yaml").write_text(
            f"providers: [{{name: s, api: simulator, region: local, models: ['*']}}]\nevidence:\n  beacon: [{{url: '{served.url}', source: source.json}}]\n"
        )
        config = load(tmp_path / "magistrate.yaml", {})
        drawing = Drawing(config.evidence_dir, served.url, network.info)
        for down, level, says in (
            (False, Level.OK, "its newest value on record was published"),
            (True, Level.WEAK, "answers with status 503, for 0 min; calls are not affected"),
        ):
            served.down = down
            drawing.attester.draw()
            found = [one for one in diagnose(config, World(running=True)) if one.subject == "beacon testnet"]
            assert [one.level for one in found] == [level]
            assert says in found[0].says
            up = f'magistrate_evidence_vouching_up{{kind="beacon",name="testnet"}} {0 if down else 1}'
            assert up in vouching_metrics(config.evidence_dir).decode()


@pytest.mark.requirement("A7")
def test_a_configured_source_that_is_none_is_refused_when_the_configuration_is_read(tmp_path: Path) -> None:
    """Not when the first value comes."""
    lines = "providers: [{name: s, api: simulator, region: local, models: ['*']}]\nevidence:\n  beacon: [{url: 'http://127.0.0.1:9/', source: source.json}]\n"
    (tmp_path / "magistrate.yaml").write_text(lines)
    for text, says in (
        (None, "cannot be read"),
        ("{}", "no description of a beacon"),
        (json.dumps({"kind": "signed", "public_key": "00"}), "has 1 bytes"),
    ):
        if text is not None:
            (tmp_path / "source.json").write_text(text)
        with pytest.raises(Rejected) as refused:
            load(tmp_path / "magistrate.yaml", {})
        assert says in str(msgspec.to_builtins([str(one) for one in refused.value.problems]))


@pytest.mark.requirement("A7")
def test_a_drand_network_is_not_asked_where_its_rounds_cannot_be_verified(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder writes nothing that it has not verified, so it says at the start what to install."""
    monkeypatch.setattr(attestation, "installed", lambda: False)
    (tmp_path / "source.json").write_text(json.dumps(Network().info))
    (tmp_path / "magistrate.yaml").write_text(
        "providers: [{name: s, api: simulator, region: local, models: ['*']}]\n"
        "evidence:\n  beacon: [{url: 'http://127.0.0.1:9/', source: source.json}]\n"
    )
    with pytest.raises(Rejected) as refused:
        load(tmp_path / "magistrate.yaml", {})
    assert any("install the extra `drand`" in str(one) for one in refused.value.problems)
    (tmp_path / "source.json").write_text(json.dumps(Signer().info))
    assert load(tmp_path / "magistrate.yaml", {}).evidence.beacon
